"""q07: `collate` and `plan_batches`, whose batches the live model answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sandbox.judge import live
from sandbox.judge.arrays import expect_array
from sandbox.judge.bench import ARGUMENTS, Bad, Bench, Exercise, Probe, Wrong, show

KEYS = ("input_ids", "attention_mask", "pixel_values", "image_owner")
MOST_IMAGES = 10
ROOM = 1.10
"""How far from the reference's plan, in batches and in padded tokens."""
TOKENS = 16
TILED = "Batches are not run live with a model that cuts pictures into tiles: its images take different tokens."


@dataclass(frozen=True)
class Case:
    """Requests, and how to collate them."""

    what: str
    requests: list[dict[str, Any]]
    image_token: int
    pad_token: int
    per_image: int

    @property
    def rows(self) -> list[list[int]]:
        """Each request's ids with its placeholders expanded."""
        return [
            [each for token in request["input_ids"] for each in [token] * self._times(token)]
            for request in self.requests
        ]

    @property
    def images(self) -> list[np.ndarray]:
        """All images in request order."""
        return [image for request in self.requests for image in request["images"]]

    @property
    def owners(self) -> list[int]:
        """The request of each image."""
        return [number for number, request in enumerate(self.requests) for _ in request["images"]]

    @property
    def where(self) -> str:
        """The input in words."""
        counts = ", ".join(str(len(request["images"])) for request in self.requests)
        return f"{self.what} ({len(self.requests)} requests with {counts} images, tokens_per_image={self.per_image})"

    def _times(self, token: int) -> int:
        return self.per_image if token == self.image_token else 1


def case(numbers: np.random.Generator, what: str, counts: Sequence[int], *, pads: bool = False) -> Case:
    """Draw requests with so many images each; `pads` puts the padding's id among the prompts' ids."""
    image_token, pad_token = (int(token) for token in numbers.choice(np.arange(900, 1000), 2, replace=False))
    side = int(numbers.integers(3, 7))
    requests = []
    for count in counts:
        ids = [int(token) for token in numbers.integers(1, 900, numbers.integers(4, 16))]
        for place in sorted(numbers.integers(0, len(ids) + 1, count), reverse=True):
            ids.insert(int(place), image_token)
        if pads:
            ids[:0] = [pad_token]
            ids.insert(len(ids) // 2, pad_token)
            ids.append(pad_token)
        images = [numbers.standard_normal((3, side, side)).astype(np.float32) for _ in range(count)]
        requests.append({"input_ids": ids, "images": images})
    return Case(what, requests, image_token, pad_token, int(numbers.integers(2, 9)))


def cases(bench: Bench) -> list[Case]:
    """Return the requests that the checks share."""
    numbers = bench.numbers("requests")

    def make() -> list[Case]:
        mixed = [int(count) for count in numbers.permutation([0, 0, 1, 1, 2, 3])]
        return [
            case(numbers, "mixed requests", mixed),
            case(numbers, "requests between text-only ones", [0, 2, 0, 1, 0]),
            case(numbers, "one with ten images", [1, MOST_IMAGES]),
            case(numbers, "one alone", [1]),
            case(numbers, "prompts that contain the padding's id", [1, 0, 2], pads=True),
        ]

    return bench.once("requests", make)


def collated(bench: Bench, each: Case) -> dict[str, Any]:
    """Return what the candidate's function makes of a case; `Wrong` if it is no dict with the four keys."""

    def make() -> dict[str, Any]:
        value = bench.call(
            "collate",
            each.requests,
            image_token_id=each.image_token,
            pad_token_id=each.pad_token,
            tokens_per_image=each.per_image,
        ).value
        if not isinstance(value, dict) or not set(KEYS) <= set(value):
            raise Wrong(f"For {each.where}, a dict with {', '.join(KEYS)} is expected; {show(value)} came.")
        return value

    return bench.once(f"collated {each.what}", make)


def rows_of(bench: Bench, each: Case, key: str = "input_ids") -> np.ndarray:
    """Return one of the two (B, L) arrays, L being at least the longest row's length."""
    name = f"{key} for {each.where}"
    array: np.ndarray = expect_array(collated(bench, each)[key], name, None, (len(each.requests), None))
    longest = max(len(row) for row in each.rows)
    if array.dtype.kind not in "iub":
        raise Wrong(f"{name} should be int64; it is {array.dtype}.")
    if array.shape[1] < longest:
        raise Wrong(f"{name} has rows of {array.shape[1]}; the longest prompt takes {longest} when it is expanded.")
    return array


def form(bench: Bench) -> str:
    """Dtypes and shapes of the four arrays."""
    for each in cases(bench):
        for key in ("input_ids", "attention_mask"):
            array = rows_of(bench, each, key)
            if array.dtype != np.int64:
                raise Wrong(f"{key} for {each.where} should be int64; it is {array.dtype}.")
        value = collated(bench, each)
        if set(value) != set(KEYS):
            raise Wrong(f"For {each.where}, exactly {', '.join(KEYS)} are expected; {show(value)} came.")
        if value["input_ids"].shape != value["attention_mask"].shape:
            raise Wrong(f"For {each.where}, input_ids and attention_mask differ in shape.")
        expect_array(value["image_owner"], f"image_owner for {each.where}", "int64", (len(each.images),))
        if each.images:
            shape = (len(each.images), *each.images[0].shape)
            expect_array(value["pixel_values"], f"pixel_values for {each.where}", "float32", shape)
    return "int64, int64, float32, int64, in their shapes."


def expansion(bench: Bench) -> str:
    """Every placeholder becomes as many as an image has tokens, where it stood."""
    for each in cases(bench):
        array = rows_of(bench, each)
        for number, row in enumerate(each.rows):
            wanted = row.count(each.image_token)
            got = int((array[number] == each.image_token).sum())
            if got != wanted:
                raise Wrong(
                    f"For {each.where}, request {number} should have {wanted} image tokens "
                    f"({len(each.requests[number]['images'])} placeholders, {each.per_image} each); it has {got}."
                )
            kept = [int(token) for token in array[number] if token != each.pad_token]
            if kept != [token for token in row if token != each.pad_token]:
                raise Wrong(f"For {each.where}, the ids of request {number} are not its prompt's, in order.")
    return "Every placeholder is expanded where it stands."


def padding(bench: Bench) -> str:
    """Rows end at the right edge; the padding's id stands to their left."""
    for each in cases(bench):
        array = rows_of(bench, each)
        for number, row in enumerate(each.rows):
            width = array.shape[1] - len(row)
            if array[number, width:].tolist() == row and (array[number, :width] == each.pad_token).all():
                continue
            if array[number, : len(row)].tolist() == row and width:
                raise Wrong(f"For {each.where}, request {number} is padded on the right; padding belongs on the left.")
            raise Wrong(
                f"For {each.where}, request {number} should be {width} times the padding's id, then the expanded "
                f"prompt; it begins {array[number, :6].tolist()}."
            )
    return "Every row is padded on the left."


def mask(bench: Bench) -> str:
    """1 for the prompt and 0 for padding, by position."""
    for each in cases(bench):
        array = rows_of(bench, each, "attention_mask")
        ids = rows_of(bench, each)
        for number, row in enumerate(each.rows):
            expected = [0] * (array.shape[1] - len(row)) + [1] * len(row)
            if array[number].tolist() == expected:
                continue
            if array.shape == ids.shape and np.array_equal(array[number], ids[number] != each.pad_token):
                raise Wrong(
                    f"For {each.where}, the mask of request {number} is 0 wherever the padding's id stands, inside the "
                    "prompt too; it should follow the position."
                )
            raise Wrong(
                f"For {each.where}, the mask of request {number} should end in {len(row)} ones after "
                f"{array.shape[1] - len(row)} zeros; it has {int((array[number] == 1).sum())} ones."
            )
    return "It is 1 from each prompt's first id on."


def pixels(bench: Bench) -> str:
    """All images in request order."""
    for each in cases(bench):
        if not each.images:
            continue
        got = expect_array(
            collated(bench, each)["pixel_values"],
            f"pixel_values for {each.where}",
            None,
            (len(each.images), *each.images[0].shape),
        )
        for number, image in enumerate(each.images):
            if not np.array_equal(got[number], image):
                raise Wrong(
                    f"For {each.where}, pixel_values[{number}] is not image {number} in request order (of request "
                    f"{each.owners[number]})."
                )
    return "Every image stands in request order."


def owners(bench: Bench) -> str:
    """The request of each image."""
    for each in cases(bench):
        got = expect_array(
            collated(bench, each)["image_owner"], f"image_owner for {each.where}", None, (len(each.images),)
        )
        if got.tolist() != each.owners:
            raise Wrong(f"For {each.where}, image_owner should be {each.owners}; it is {got.tolist()}.")
    return "Every image's request is named."


def without_images(bench: Bench) -> str:
    """Text alone."""
    each = case(bench.numbers("text"), "text alone", [0, 0, 0])
    value = collated(bench, each)
    if value["pixel_values"] is not None:
        raise Wrong(f"Without images, pixel_values should be None; it is {show(value['pixel_values'])}.")
    expect_array(value["image_owner"], "image_owner without images", "int64", (0,))
    return "pixel_values is None and image_owner is empty."


def bad_requests(bench: Bench) -> str:
    """What can't be collated."""
    numbers = bench.numbers("bad requests")

    def bad(why: str, each: Case, change: Callable[[list[dict[str, Any]]], None]) -> Bad:
        requests = [{"input_ids": list(r["input_ids"]), "images": list(r["images"])} for r in each.requests]
        change(requests)
        keywords = {
            "image_token_id": each.image_token,
            "pad_token_id": each.pad_token,
            "tokens_per_image": each.per_image,
        }
        return Bad(why, "collate", (requests,), keywords)

    def swap(requests: list[dict[str, Any]]) -> None:
        requests[1]["images"].append(requests[0]["images"].pop())

    def other_size(requests: list[dict[str, Any]]) -> None:
        side = requests[0]["images"][0].shape[1] + 1
        requests[1]["images"][0] = numbers.standard_normal((3, side, side)).astype(np.float32)

    few, many = case(numbers, "", [2, 1, 0]), case(numbers, "", [1, MOST_IMAGES + 1])
    return bench.refuses(
        [
            bad("fewer images than placeholders", few, lambda requests: requests[0]["images"].clear()),
            bad("an image without a placeholder", few, lambda r: r[2]["images"].append(r[0]["images"][0])),
            bad("totals that agree while two requests don't", few, swap),
            bad("eleven images", many, lambda requests: None),
            bad("images of different S", few, other_size),
            bad("no requests", few, lambda requests: requests.clear()),
        ]
    )


@dataclass(frozen=True)
class Lengths:
    """Lengths to plan, and what the reference needs."""

    lengths: list[int]
    most: int
    batches: int
    padded: int


def draws(bench: Bench) -> list[Lengths]:
    """Return the lengths that the checks share: even, skewed, and with few values."""
    numbers = bench.numbers("lengths")

    def make() -> list[Lengths]:
        count = int(numbers.integers(200, 400))
        drawn = [
            numbers.integers(5, 600, count),
            np.clip(numbers.lognormal(4.5, 1.0, count), 4, 2000),
            numbers.choice([30, 64, 606, 640], count),
        ]
        found = []
        for lengths in drawn:
            whole = [int(length) for length in lengths]
            most = max(whole) + int(numbers.integers(0, 3000))
            plans = [_greedy(order, most) for order in (sorted(whole), sorted(whole, reverse=True))]
            found.append(Lengths(whole, most, min(len(p) for p in plans), min(_padded(p) for p in plans)))
        return found

    return bench.once("lengths", make)


def _greedy(lengths: list[int], most: int) -> list[list[int]]:
    plan: list[list[int]] = []
    for length in lengths:
        if plan and (len(plan[-1]) + 1) * max(*plan[-1], length) <= most:
            plan[-1].append(length)
        else:
            plan.append([length])
    return plan


def _padded(plan: list[list[int]]) -> int:
    return sum(len(batch) * max(batch) for batch in plan)


def plans(bench: Bench) -> list[tuple[Lengths, list[list[int]]]]:
    """Return the candidate's plans as lists of lists of indices; `Wrong` if they are none."""

    def make() -> list[tuple[Lengths, list[list[int]]]]:
        found = []
        for each in draws(bench):
            value = bench.call("plan_batches", each.lengths, each.most).value
            fits = isinstance(value, list) and all(
                isinstance(batch, list | tuple) and all(type(index) is int for index in batch) for batch in value
            )
            if not fits:
                raise Wrong(f"A list of lists of int is expected; {show(value)} came.")
            found.append((each, [list(batch) for batch in value]))
        return found

    return bench.once("plans", make)


def every_index(bench: Bench) -> str:
    """Every index once."""
    for each, plan in plans(bench):
        got = sorted(index for batch in plan for index in batch)
        if got != list(range(len(each.lengths))):
            missing = len(set(range(len(each.lengths))) - set(got))
            raise Wrong(
                f"Of {len(each.lengths)} indices, {missing} are missing and {len(got) - len(set(got))} come again; "
                "every one is expected exactly once."
            )
        if not all(plan):
            raise Wrong("An empty batch is in the plan.")
    return "Every index is in one batch."


def within_budget(bench: Bench) -> str:
    """Rows times longest."""
    for each, plan in plans(bench):
        for batch in plan:
            inside = [each.lengths[index] for index in batch if 0 <= index < len(each.lengths)]
            padded = len(inside) * max(inside, default=0)
            if padded > each.most:
                raise Wrong(
                    f"A batch of {len(inside)} with a longest of {max(inside)} takes {padded} padded tokens; "
                    f"max_tokens is {each.most}."
                )
    return "No batch takes more than max_tokens, padding included."


def few_batches(bench: Bench) -> str:
    """The number of batches."""
    seen = []
    for each, plan in plans(bench):
        most = math.ceil(ROOM * each.batches)
        if len(plan) > most:
            raise Wrong(f"{len(each.lengths)} lengths take {len(plan)} batches; at most {most} are allowed.")
        seen.append(f"{len(plan)} (at most {most})")
    return f"Batches: {', '.join(seen)}."


def little_padding(bench: Bench) -> str:
    """The padded total."""
    seen = []
    for each, plan in plans(bench):
        every_index(bench)
        padded, most = _padded([[each.lengths[i] for i in batch] for batch in plan]), math.ceil(ROOM * each.padded)
        if padded > most:
            raise Wrong(
                f"{len(each.lengths)} lengths take {padded:,} padded tokens ({sum(each.lengths):,} without padding); "
                f"at most {most:,} are allowed."
            )
        seen.append(f"{padded:,} (at most {most:,})")
    return f"Padded tokens: {', '.join(seen)}."


def bad_lengths(bench: Bench) -> str:
    """What can't fit, and nothing at all."""
    each = draws(bench)[0]
    said = bench.refuses([Bad("a length that can't fit alone", "plan_batches", (each.lengths, max(each.lengths) - 1))])
    none = bench.call("plan_batches", [], each.most).value
    if none != []:
        raise Wrong(f"No lengths should give []; {show(none)} came.")
    return f"{said} No lengths give []."


def end_to_end(bench: Bench) -> str:
    """Greedy answers of a collated batch against those of the same requests one by one."""
    engine, chance = bench.engine, bench.random("live")
    checkpoint = engine.checkpoint
    if checkpoint.tiled:
        bench.notes.append(TILED)
        return TILED
    from sandbox.stages import preprocess, prompt

    requests = []
    for count in chance.sample([0, 1, 1, 1, 2, 2, 3], 7):
        asked = live.items(chance, max(count, 1))
        text = "\n".join(f"<image>\n{each.prompt}" for each in asked) if count else asked[0].prompt
        ids = prompt.prompt(text, [1] * count, checkpoint).tolist()
        images = [each.picture for each in asked[:count]]
        rows: Any = preprocess.preprocess(images, checkpoint.processor.image_processor) if images else []
        requests.append({"input_ids": ids, "images": list(rows)})
    pad = checkpoint.tokenizer.pad_token_id
    per_image = checkpoint.processor.patch_size and tokens_per_image_of(engine)
    each = Case("live requests", requests, checkpoint.image_token, 0 if pad is None else int(pad), per_image)
    value = collated(bench, each)
    for key in ("input_ids", "attention_mask"):
        rows_of(bench, each, key)
    ids, shape = value["input_ids"], value["attention_mask"].shape
    if ids.shape != shape or not ((ids >= 0) & (ids < checkpoint.vocabulary)).all():
        raise Wrong("Not run: input_ids and attention_mask differ in shape, or hold ids that the vocabulary doesn't.")
    given = value["pixel_values"]
    expect_array(given, "pixel_values", None, (len(each.images), *each.images[0].shape))
    if int((ids == each.image_token).sum()) != per_image * len(each.images):
        raise Wrong(f"Not run: {per_image * len(each.images)} image tokens are expected in the batch.")
    mine = engine.compute(generate, checkpoint, value)
    alone = [engine.compute(generate, checkpoint, alone_of(each, number))[0] for number in range(len(requests))]
    wrong = [number for number, (one, other) in enumerate(zip(mine, alone, strict=True)) if one != other]
    if wrong:
        number = wrong[0]
        read = checkpoint.tokenizer.decode
        raise Wrong(
            f"{len(wrong)} of {len(requests)} answers differ from those of the same requests alone; request {number} "
            f"gets {read(mine[number], skip_special_tokens=True)!r} instead of "
            f"{read(alone[number], skip_special_tokens=True)!r}."
        )
    return f"All {len(requests)} greedy answers are those of the requests one by one."


def tokens_per_image_of(engine: Any) -> int:
    """Return how many tokens a picture takes."""
    vision = engine.checkpoint.model.config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    return int(patches if engine.checkpoint.strategy == "default" else patches + 1)


def alone_of(each: Case, number: int) -> dict[str, Any]:
    """Return one request as a batch of its own."""
    ids = np.array([each.rows[number]], np.int64)
    images = each.requests[number]["images"]
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "pixel_values": np.stack(images) if images else None,
    }


def generate(checkpoint: Any, batch: dict[str, Any]) -> list[list[int]]:
    """Answer a collated batch greedily, by transformers' own `generate`; end tokens and what follows are cut."""
    import torch

    images = {} if batch["pixel_values"] is None else {"pixel_values": checkpoint.tensor(batch["pixel_values"])}
    ids = checkpoint.tensor(batch["input_ids"].astype(np.int64))
    with torch.inference_mode():
        output = checkpoint.model.generate(
            input_ids=ids,
            attention_mask=checkpoint.tensor(batch["attention_mask"].astype(np.int64)),
            **images,
            max_new_tokens=TOKENS,
            do_sample=False,
        )
    answers = []
    for row in output[:, ids.shape[1] :].tolist():
        end = next((place for place, token in enumerate(row) if token in checkpoint.end_tokens), len(row))
        answers.append(row[:end])
    return answers


EXERCISE = Exercise(
    "q07",
    ("collate", "plan_batches"),
    (
        Probe("form", "The four arrays have their dtypes and shapes.", form, public=True),
        Probe("expansion", "Every placeholder becomes tokens_per_image copies.", expansion, public=True),
        Probe("left padding", "Shorter prompts are padded on the left.", padding, public=True),
        Probe("mask", "The mask follows the position, not the id.", mask),
        Probe("pixel_values", "Images stand in request order.", pixels),
        Probe("image_owner", "Each image's request is named.", owners),
        Probe("text alone", "Without images, pixel_values is None.", without_images),
        Probe("bad requests", "What doesn't agree raises ValueError.", bad_requests),
        Probe("live answers", "Batched greedy answers are the one-by-one answers.", end_to_end),
        Probe("every index", "The plan has every index exactly once.", every_index, public=True),
        Probe("budget", "No batch takes more than max_tokens, padding included.", within_budget, public=True),
        Probe("number of batches", "The plan has few batches.", few_batches),
        Probe("padded total", "The plan pads little.", little_padding),
        Probe("bad lengths", "What can't fit raises ValueError; no lengths give [].", bad_lengths),
        ARGUMENTS,
    ),
)
