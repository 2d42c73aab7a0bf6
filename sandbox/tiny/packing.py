"""Batches: pictures with dense labels, and many questions about a picture in one sequence.

A sequence begins with the picture's tokens. Every question after it attends to them and to itself only, and its
positions restart after them, so that it sees what it would see alone: one picture teaches about ten questions at the
cost of one. Shapes are fixed for each kind of batch, since every shape is compiled anew.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sandbox.tiny.comparisons import MANY_TASKS, PAIR_TASKS, ask_without_image, sample_pair
from sandbox.tiny.drawing import draw
from sandbox.tiny.labels import PATCH_CLASSES, PICTURE_CLASSES, dense_labels
from sandbox.tiny.questions import PLACES, TASKS, article, caption, in_style
from sandbox.tiny.scene import PICTURE_SIZE, Scene, sample_scene
from sandbox.tiny.vocabulary import BOS, IMAGE, PAD, SYSTEM_PROMPTS, Encoder

PATCHES = 64
TASK_NAMES = (*TASKS, *PAIR_TASKS, *MANY_TASKS, "no_image")

TASK_WEIGHTS = {
    "color": 1.0,
    "shape": 1.0,
    "size": 0.6,
    "presence": 1.1,
    "position": 1.3,
    "count": 1.9,
    "relation": 2.8,
    "text": 0.9,
    "caption": 0.5,
}
"""How often each task is drawn for a picture; the slow learners (relation, count, captions) come more often."""


@dataclass(frozen=True)
class Kind:
    """The fixed shapes of a batch: sequences, tokens in each, and pictures for all of them."""

    rows: int
    length: int
    images: int


ONE = Kind(rows=16, length=240, images=16)
TWO = Kind(rows=8, length=240, images=16)
MANY = Kind(rows=2, length=736, images=16)


@dataclass
class Pictures:
    """Pictures as uint8 (n, 112, 112, 3) with the labels of `dense_labels`."""

    pixels: torch.Tensor
    patches: torch.Tensor
    picture: torch.Tensor
    offsets: torch.Tensor


@dataclass
class Sequences:
    """Token sequences, all (rows, length).

    `segments` is 0 for what every question sees, a question's number otherwise, -1 for padding; `targets` is the next
    token or -100; `slots` is the row of the flattened picture features that stands in for an image token, or -1;
    `questions` is a number for each question in a row times 100 plus its task's index, or -1.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    segments: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    slots: torch.Tensor
    questions: torch.Tensor


@dataclass
class Batch:
    """What one step of the LLaVA stage consumes."""

    pictures: Pictures
    sequences: Sequences


def batch_kind(step: int) -> Kind:
    """Of 16 steps, 12 hold one picture a sequence, 3 two, and 1 three to ten."""
    return {3: TWO, 7: MANY, 11: TWO, 15: TWO}.get(step % 16, ONE)


def draw_pictures(scenes: Sequence[Scene], size: int | None = None) -> Pictures:
    """Draw scenes and label them; white pictures fill up to `size`."""
    number = size or len(scenes)
    pixels = np.full((number, PICTURE_SIZE, PICTURE_SIZE, 3), 255, np.uint8)
    patches = np.zeros((number, len(PATCH_CLASSES), PATCHES), np.int64)
    picture = np.zeros((number, len(PICTURE_CLASSES)), np.int64)
    offsets = np.zeros((number, PATCHES, 2), np.float32)
    for index, scene in enumerate(scenes):
        pixels[index] = np.asarray(draw(scene))
        patches[index], picture[index], offsets[index] = dense_labels(scene)
    return Pictures(*(torch.from_numpy(array) for array in (pixels, patches, picture, offsets)))


class Packer:
    """Builds the batches of the LLaVA stage from a random source."""

    def __init__(self, encode: Encoder) -> None:
        self._encode = encode

    def batch(self, rng: random.Random, kind: Kind) -> Batch:
        """A fresh batch of the given kind."""
        rows = _Rows(kind)
        scenes: list[Scene] = []
        for index in range(kind.rows):
            if kind is ONE:
                scene = sample_scene(rng)
                self._one_picture(rng, rows, index, scene)
                scenes.append(scene)
            elif kind is TWO:
                pair = sample_pair(rng)
                self._several_pictures(rng, rows, index, pair, len(scenes))
                scenes.extend(pair)
            else:
                most = min(10, kind.images - len(scenes) - 3 * (kind.rows - index - 1))
                many = [sample_scene(rng) for _ in range(rng.randint(min(3, most), most))]
                self._several_pictures(rng, rows, index, many, len(scenes))
                scenes.extend(many)
        return Batch(draw_pictures(scenes, kind.images), rows.tensors())

    def _one_picture(self, rng: random.Random, rows: _Rows, row: int, scene: Scene) -> None:
        layout = rng.random()
        if layout < 0.03:
            rows.prefix(row, self._encode("<s>USER:"), row)
            self._without_image(rng, rows, row)
        elif layout < 0.06:
            rows.prefix(row, self._encode("<s>USER: "), row)
            self._image_last(rng, rows, row, scene)
        else:
            system = f"{rng.choice(SYSTEM_PROMPTS)} " if layout < 0.10 else ""
            rows.prefix(row, self._encode(f"<s>{system}USER: <image>\n"), row)
            self._questions(rng, rows, row, scene, many_turns=rng.random() < 0.12)

    def _questions(self, rng: random.Random, rows: _Rows, row: int, scene: Scene, *, many_turns: bool) -> None:
        asked: set[str] = set()
        names = list(TASK_WEIGHTS)
        weights = list(TASK_WEIGHTS.values())
        for _ in range(26):
            task = rng.choices(names, weights)[0]
            if task in asked or (task == "caption" and many_turns):
                continue
            if task == "text" and scene.text is None and rng.random() < 0.6:
                continue
            question = TASKS[task](rng, scene)
            if question is None or question.prompt in asked:
                continue
            asked.add(question.prompt)
            if task in {"text", "caption"}:
                asked.add(task)
            prompt, answer = in_style(rng, question)
            opening = "USER: " if many_turns and rows.questions(row) else ""
            rows.question(
                row,
                self._encode(f"{opening}{prompt} ASSISTANT:"),
                self._encode(f" {answer}</s>"),
                task,
                shared=many_turns,
            )
            if rows.room(row) < 14:
                break

    def _several_pictures(self, rng: random.Random, rows: _Rows, row: int, scenes: Sequence[Scene], first: int) -> None:
        rows.prefix(row, self._encode("<s>USER: " + "<image>\n" * len(scenes)), first)
        tasks = PAIR_TASKS if len(scenes) == 2 and rng.random() < 0.9 else MANY_TASKS
        asked: set[str] = set()
        for _ in range(12):
            task = rng.choice(tuple(tasks))
            if task == "how_many_images" and (task in asked or rng.random() < 0.5):
                continue
            question = tasks[task](rng, scenes)
            if question is None or question.prompt in asked:
                continue
            asked |= {question.prompt, task}
            prompt, answer = in_style(rng, question)
            rows.question(row, self._encode(f"{prompt} ASSISTANT:"), self._encode(f" {answer}</s>"), task)
            if rows.room(row) < 14:
                break

    def _image_last(self, rng: random.Random, rows: _Rows, row: int, scene: Scene) -> None:
        for _ in range(6):
            task = rng.choices(list(TASK_WEIGHTS), list(TASK_WEIGHTS.values()))[0]
            question = TASKS[task](rng, scene)
            if question is None:
                continue
            prompt, answer = in_style(rng, question)
            ending = rng.choice(("\n<image> ASSISTANT:", " <image> ASSISTANT:", "\n<image>\n ASSISTANT:"))
            rows.question(row, self._encode(prompt + ending), self._encode(f" {answer}</s>"), task, first_image=row)

    def _without_image(self, rng: random.Random, rows: _Rows, row: int) -> None:
        for _ in range(9):
            prompt, answer = ask_without_image(rng)
            rows.question(row, self._encode(f" {prompt} ASSISTANT:"), self._encode(f" {answer}</s>"), "no_image")


class _Rows:
    """Arrays of one batch while they are filled."""

    def __init__(self, kind: Kind) -> None:
        shape = (kind.rows, kind.length)
        self.ids = np.full(shape, PAD, np.int64)
        self.positions = np.zeros(shape, np.int64)
        self.segments = np.full(shape, -1, np.int64)
        self.targets = np.full(shape, -100, np.int64)
        self.weights = np.zeros(shape, np.float32)
        self.slots = np.full(shape, -1, np.int64)
        self.numbers = np.full(shape, -1, np.int64)
        self._end = [0] * kind.rows
        self._start = [0] * kind.rows
        self._questions = [0] * kind.rows

    def room(self, row: int) -> int:
        """Free tokens."""
        return self.ids.shape[1] - self._end[row]

    def questions(self, row: int) -> int:
        """Questions so far."""
        return self._questions[row]

    def prefix(self, row: int, ids: Sequence[int], first_image: int) -> None:
        """Write what every question of the row sees."""
        expanded, slots = _expand(ids, first_image)
        end = len(expanded)
        self.ids[row, :end] = expanded
        self.slots[row, :end] = slots
        self.positions[row, :end] = range(end)
        self.segments[row, :end] = 0
        self._start[row] = self._end[row] = end

    def question(
        self,
        row: int,
        prompt: Sequence[int],
        answer: Sequence[int],
        task: str,
        *,
        shared: bool = False,
        first_image: int = 0,
    ) -> bool:
        """Append a question with its answer, if there is room; `shared` makes it visible to later ones."""
        expanded, slots = _expand(prompt, first_image)
        start, size = self._end[row], len(expanded) + len(answer)
        if size > self.room(row):
            return False
        self._questions[row] += 1
        number = self._questions[row]
        span = slice(start, start + size)
        self.ids[row, span] = [*expanded, *answer]
        self.slots[row, start : start + len(slots)] = slots
        self.positions[row, span] = np.arange(size) + (start if shared else self._start[row])
        self.segments[row, span] = 0 if shared else number
        predicted = slice(start + len(expanded) - 1, start + size - 1)
        self.targets[row, predicted] = answer
        # A long answer has many easy tokens; half the weight keeps it from drowning the short ones.
        self.weights[row, predicted] = 1.0 if len(answer) < 8 else 0.5
        self.numbers[row, predicted] = 100 * number + TASK_NAMES.index(task)
        self._end[row] = start + size
        return True

    def tensors(self) -> Sequences:
        """The arrays as tensors."""
        arrays = (self.ids, self.positions, self.segments, self.targets, self.weights, self.slots, self.numbers)
        return Sequences(*(torch.from_numpy(array) for array in arrays))


def _expand(ids: Sequence[int], first_image: int) -> tuple[list[int], list[int]]:
    """Each image token as 64, with the feature rows that they stand for."""
    if IMAGE not in ids:
        return list(ids), [-1] * len(ids)
    expanded: list[int] = []
    slots: list[int] = []
    image = first_image
    for token in ids:
        if token == IMAGE:
            expanded += [IMAGE] * PATCHES
            slots += range(image * PATCHES, (image + 1) * PATCHES)
            image += 1
        else:
            expanded.append(token)
            slots.append(-1)
    return expanded, slots


def retrieval_text(rng: random.Random, scene: Scene) -> str:
    """What someone searching for the picture might write: its caption, or some of what it says in another order."""
    full = caption(scene)
    if not scene.objects or rng.random() < 0.6:
        return full
    chosen = rng.sample(scene.objects, rng.randint(1, len(scene.objects)))
    parts = []
    for thing in chosen:
        name = f"{thing.size} {thing.name}" if rng.random() < 0.5 else thing.name
        place = f" {PLACES[thing.position]}" if rng.random() < 0.6 else ""
        parts.append(article(name) + place)
    listed = ", ".join(parts)
    ground = f" on {article(scene.background)} background" if rng.random() < 0.5 else ""
    return f"{listed[0].upper()}{listed[1:]}{ground}."


TEXT_LENGTH = 80
"""Tokens of a search text, with its start and at least one padding token, at which CLIP's text tower is read out."""


def text_ids(encode: Encoder, text: str) -> list[int]:
    """Ids of a search text, padded to `TEXT_LENGTH` on the right."""
    ids = [BOS, *encode(text)[: TEXT_LENGTH - 2]]
    return ids + [PAD] * (TEXT_LENGTH - len(ids))
