"""Solutions of q07."""

from tests.unit.judge.faults import Fault

RIGHT = """
import numpy as np


def collate(requests, *, image_token_id, pad_token_id, tokens_per_image):
    if not requests:
        raise ValueError("no requests")
    rows, images, owners = [], [], []
    for number, request in enumerate(requests):
        count = request["input_ids"].count(image_token_id)
        if count != len(request["images"]) or count > 10:
            raise ValueError(f"request {number} has {count} placeholders")
        row = []
        for token in request["input_ids"]:
            row += [token] * (tokens_per_image if token == image_token_id else 1)
        rows.append(row)
        images += request["images"]
        owners += [number] * count
    if len({image.shape for image in images}) > 1:
        raise ValueError("images of different sizes")
    longest = max(len(row) for row in rows)
    input_ids = np.full((len(rows), longest), pad_token_id, np.int64)
    attention_mask = np.zeros((len(rows), longest), np.int64)
    for number, row in enumerate(rows):
        input_ids[number, longest - len(row) :] = row
        attention_mask[number, longest - len(row) :] = 1
    return {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "pixel_values": np.stack(images) if images else None,
        "image_owner": np.array(owners, np.int64),
    }


def plan_batches(lengths, max_tokens):
    if any(length > max_tokens for length in lengths):
        raise ValueError("one doesn't fit")
    plans = []
    for backwards in (False, True):
        plan, longest = [], 0
        for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=backwards):
            longest = max(longest, lengths[index])
            if plan and (len(plan[-1]) + 1) * longest <= max_tokens:
                plan[-1].append(index)
            else:
                plan.append([index])
                longest = lengths[index]
        plans.append(plan)
    return min(plans, key=lambda plan: (len(plan), sum(len(b) * max(lengths[i] for i in b) for b in plan)))
"""

OTHER_RIGHT = '''
import itertools
import numpy as np


def _expand(ids, image, times):
    return list(itertools.chain.from_iterable([t] * times if t == image else [t] for t in ids))


def collate(requests, *, image_token_id, pad_token_id, tokens_per_image):
    """Pads by concatenation."""
    if len(requests) == 0:
        raise ValueError
    pixels = [image for r in requests for image in r["images"]]
    for r in requests:
        n = len(r["images"])
        if n > 10 or n != sum(t == image_token_id for t in r["input_ids"]):
            raise ValueError(n)
    if any(p.shape != pixels[0].shape for p in pixels):
        raise ValueError("sizes")
    rows = [_expand(r["input_ids"], image_token_id, tokens_per_image) for r in requests]
    width = max(map(len, rows))
    ids = np.array([[pad_token_id] * (width - len(row)) + row for row in rows], dtype=np.int64)
    mask = np.array([[0] * (width - len(row)) + [1] * len(row) for row in rows], dtype=np.int64)
    owner = np.repeat(np.arange(len(requests), dtype=np.int64), [len(r["images"]) for r in requests])
    return {"input_ids": ids, "attention_mask": mask, "image_owner": owner,
            "pixel_values": np.array(pixels, dtype=np.float32) if pixels else None}


def plan_batches(lengths, max_tokens):
    """The better of both orders, by the number of batches."""
    def fill(order):
        out, batch, top = [], [], 0
        for i in order:
            if lengths[i] > max_tokens:
                raise ValueError(lengths[i])
            if batch and max(top, lengths[i]) * (len(batch) + 1) > max_tokens:
                out.append(batch)
                batch, top = [], 0
            batch.append(int(i))
            top = max(top, lengths[i])
        return out + [batch] if batch else out
    up = np.argsort(lengths, kind="stable") if lengths else []
    return min(fill(up), fill(up[::-1]), key=len)
'''

_PAD = (
    "        input_ids[number, longest - len(row) :] = row\n        attention_mask[number, longest - len(row) :] = 1\n"
)
FAULTS = [
    Fault("right padding", _PAD, _PAD.replace("longest - len(row) :", ": len(row)"), "left padding"),
    Fault(
        "mask by id",
        '        "attention_mask": attention_mask,',
        '        "attention_mask": (input_ids != pad_token_id).astype(np.int64),',
        "mask",
    ),
    Fault(
        "mask left padded, ids right",
        "input_ids[number, longest - len(row) :] = row",
        "input_ids[number, : len(row)] = row",
        "left padding",
    ),
    Fault("mask all ones", "attention_mask = np.zeros(", "attention_mask = np.ones(", "mask"),
    Fault("not expanded", "(tokens_per_image if token == image_token_id else 1)", "1", "expansion"),
    Fault("one token too few", "(tokens_per_image if token", "(tokens_per_image - 1 if token", "expansion"),
    Fault("padded with 0", "longest), pad_token_id, np.int64)", "longest), 0, np.int64)", "left padding"),
    Fault("images in reverse", "np.stack(images)", "np.stack(images[::-1])", "pixel_values"),
    Fault("owners by image number", "owners += [number] * count", "owners += list(range(count))", "image_owner"),
    Fault(
        "owners skip text requests",
        "owners += [number] * count",
        "owners += [(owners or [-1])[-1] + 1] * count",
        "image_owner",
    ),
    Fault(
        "zeros instead of None",
        "np.stack(images) if images else None",
        "np.stack(images) if images else np.zeros((0, 3, 1, 1), np.float32)",
        "text alone",
    ),
    Fault("int32 ids", "pad_token_id, np.int64)", "pad_token_id, np.int32)", "form"),
    Fault("float64 pixels", "np.stack(images) if", "np.stack(images).astype(float) if", "form"),
    Fault(
        "totals compared only",
        '        if count != len(request["images"]) or count > 10:\n',
        '        if sum(r["input_ids"].count(image_token_id) - len(r["images"]) for r in requests) or count > 10:\n',
        "bad requests",
    ),
    Fault("eleven pass", " or count > 10:", ":", "bad requests"),
    Fault("no requests pass", '        raise ValueError("no requests")', "        return {}", "bad requests"),
    Fault(
        "one request a batch",
        "    if any(length > max_tokens for length in lengths):",
        "    if max(lengths, default=0) <= max_tokens:\n"
        "        return [[i] for i in range(len(lengths))]\n"
        "    if any(length > max_tokens for length in lengths):",
        "number of batches",
    ),
    Fault(
        "in order of arrival",
        "sorted(range(len(lengths)), key=lengths.__getitem__, reverse=backwards)",
        "range(len(lengths))",
        "padded total",
    ),
    Fault(
        "budget without padding",
        "            longest = max(longest, lengths[index])\n"
        "            if plan and (len(plan[-1]) + 1) * longest <= max_tokens:",
        "            if plan and sum(lengths[i] for i in plan[-1]) + lengths[index] <= max_tokens:",
        "budget",
    ),
    Fault(
        "too long ones dropped",
        '        raise ValueError("one doesn\'t fit")',
        "        return [[i] for i, length in enumerate(lengths) if length <= max_tokens]",
        "bad lengths",
    ),
    Fault("the last index lost", "range(len(lengths)), key=", "range(len(lengths) - 1), key=", "every index"),
    Fault(
        "images popped from the requests",
        '        images += request["images"]\n',
        '        images += request["images"]\n        request["images"] = []\n',
        "arguments",
    ),
]
