"""Solutions of q06."""

from tests.unit.judge.faults import Fault

RIGHT = """
import numpy as np


def plan_decode(prompt_ids, image_embeds, image_token_id, n_batch):
    if n_batch < 1 or not prompt_ids:
        raise ValueError("nothing to plan")
    if prompt_ids.count(image_token_id) != len(image_embeds):
        raise ValueError("placeholders and images differ")
    if any(len(rows) == 0 for rows in image_embeds):
        raise ValueError("an image has no rows")
    if len({rows.shape[1] for rows in image_embeds}) > 1:
        raise ValueError("images differ in width")
    parts, text, images = [], [], iter(image_embeds)
    for token in prompt_ids:
        if token == image_token_id:
            if text:
                parts.append(("token", np.array(text, np.int64)))
            parts.append(("embd", next(images)))
            text = []
        else:
            text.append(token)
    if text:
        parts.append(("token", np.array(text, np.int64)))
    plan, position = [], 0
    for key, rows in parts:
        for start in range(0, len(rows), n_batch):
            part = rows[start : start + n_batch]
            pos = np.arange(position, position + len(part), dtype=np.int64)
            plan.append({key: part, "pos": pos, "logits": np.zeros(len(part), bool)})
            position += len(part)
    plan[-1]["logits"][-1] = True
    return plan
"""

OTHER_RIGHT = '''
import numpy


def plan_decode(prompt_ids, image_embeds, image_token_id, n_batch):
    """Row by row; images next to each other share a batch."""
    wanted = sum(1 for t in prompt_ids if t == image_token_id)
    widths = set()
    for e in image_embeds:
        if e.shape[0] < 1:
            raise ValueError("empty image")
        widths.add(e.shape[1])
    if wanted != len(image_embeds) or len(widths) > 1 or len(prompt_ids) == 0 or n_batch <= 0:
        raise ValueError("bad input")
    plan, current, kind, pos = [], [], None, 0

    def flush():
        nonlocal current
        if current:
            n = len(current)
            data = numpy.array(current, numpy.int64) if kind == "token" else numpy.stack(current).astype(numpy.float32)
            plan.append({
                kind: data,
                "pos": numpy.arange(pos - n, pos).astype(numpy.int64),
                "logits": numpy.zeros(n, dtype=numpy.bool_),
            })
        current = []

    image = 0
    for t in prompt_ids:
        rows, k = ([t], "token") if t != image_token_id else (list(image_embeds[image]), "embd")
        image += t == image_token_id
        for row in rows:
            if k != kind or len(current) == n_batch:
                flush()
                kind = k
            current.append(row)
            pos += 1
    flush()
    plan[-1]["logits"][-1] = True
    return plan
'''

FAULTS = [
    Fault(
        "positions restart in each batch",
        "np.arange(position, position + len(part), dtype",
        "np.arange(len(part), dtype",
        "positions",
    ),
    Fault("positions begin at 1", "plan, position = [], 0", "plan, position = [], 1", "positions"),
    Fault(
        "an image takes one position",
        "            position += len(part)\n",
        '            position += len(part) if key == "token" else 0\n        position += key == "embd"\n',
        "positions",
    ),
    Fault(
        "the placeholder takes a position",
        "    for key, rows in parts:\n",
        '    for key, rows in parts:\n        position += key == "embd"\n',
        "positions",
    ),
    Fault("the placeholder stays", "            text = []\n", "            text = [token]\n", "order"),
    Fault("images in reverse", "iter(image_embeds)", "iter(image_embeds[::-1])", "order"),
    Fault(
        "text before all images",
        "    plan, position = [], 0\n",
        '    parts.sort(key=lambda part: part[0] == "embd")\n    plan, position = [], 0\n',
        "order",
    ),
    Fault(
        "the last text dropped",
        '    if text:\n        parts.append(("token", np.array(text, np.int64)))\n    plan',
        "    plan",
        "order",
    ),
    Fault(
        "logits on every last row",
        '    plan[-1]["logits"][-1] = True\n',
        '    for batch in plan:\n        batch["logits"][-1] = True\n',
        "logits",
    ),
    Fault(
        "logits on all rows of the last batch",
        'plan[-1]["logits"][-1] = True',
        'plan[-1]["logits"][:] = True',
        "logits",
    ),
    Fault("no logits", '    plan[-1]["logits"][-1] = True\n', "", "logits"),
    Fault(
        "images not split",
        "            part = rows[start : start + n_batch]",
        '            part = rows[start : start + (n_batch if key == "token" else 10**9)]\n'
        '            if key == "embd" and start:\n                continue',
        "batch size",
    ),
    Fault("one row too many in a batch", "start + n_batch]", "start + n_batch + 1]", "batch size"),
    Fault(
        "batches half full",
        "for start in range(0, len(rows), n_batch):\n            part = rows[start : start + n_batch]",
        "half = max(1, n_batch // 2)\n        for start in range(0, len(rows), half):\n"
        "            part = rows[start : start + half]",
        "full batches",
    ),
    Fault("int32 positions", "dtype=np.int64)", "dtype=np.int32)", "form"),
    Fault("float64 rows", "next(images)", "next(images).astype(np.float64)", "form"),
    Fault("logits as int", "np.zeros(len(part), bool)", "np.zeros(len(part), np.int8)", "form"),
    Fault(
        "an n_seq_id besides",
        '"logits": np.zeros',
        '"n_seq_id": np.ones(len(part), np.int64), "logits": np.zeros',
        "form",
    ),
    Fault(
        "counts not compared",
        "if prompt_ids.count(image_token_id) != len(image_embeds):",
        "if prompt_ids.count(image_token_id) > len(image_embeds):",
        "bad input",
    ),
    Fault("widths not compared", "if len({rows.shape[1] for rows in image_embeds}) > 1:", "if False:", "bad input"),
    Fault("n_batch not looked at", "if n_batch < 1 or not prompt_ids:", "if not prompt_ids:", "bad input"),
    Fault("an empty image passes", "if any(len(rows) == 0 for rows in image_embeds):", "if False:", "bad input"),
    Fault(
        "arguments changed",
        "    parts, text, images = [], [], iter(image_embeds)\n",
        "    parts, text, images = [], [], iter(image_embeds)\n    prompt_ids[:] = list(prompt_ids) + [5]\n",
        "arguments",
    ),
    Fault(
        "rows normalised",
        "next(images)",
        "(lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True))(next(images))",
        "order",
    ),
]
