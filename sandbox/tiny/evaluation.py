"""How well the tiny LLaVA answers, through transformers' public classes alone, on scenes that training never draws.

Every answer is generated greedily from the processor's own inputs and must equal the true answer as a string. The same
questions are asked of a white picture and of another scene's picture, which shows what the words alone give away.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from sandbox.tiny.comparisons import MANY_TASKS, PAIR_TASKS, sample_pair
from sandbox.tiny.drawing import draw
from sandbox.tiny.otherhand import ask_about, sketch
from sandbox.tiny.questions import SHORT_SUFFIX, TASKS, Question, caption
from sandbox.tiny.scene import PICTURE_SIZE, Scene, sample_scene
from sandbox.tiny.vocabulary import SYSTEM_PROMPTS

Pictures = list[Image.Image]
Prompt = Callable[[str, int], str]
Change = Callable[[Image.Image], Image.Image]

QUESTIONS = 500
CAPTIONS = 200


def as_user(question: str, images: int) -> str:
    """The prompt of llava-1.5's chat template for one user turn."""
    return "USER: " + "<image>\n" * images + question + " ASSISTANT:"


@dataclass(frozen=True)
class Item:
    """One question with its pictures."""

    pictures: Pictures
    question: Question


class Answerer:
    """A LLaVA folder loaded with plain transformers, float32.

    `prompt` puts a question and a number of pictures into the prompt's format; `change` alters every picture first.
    """

    def __init__(self, model_dir: Path) -> None:
        from transformers import LlavaForConditionalGeneration, LlavaProcessor

        self.processor: Any = LlavaProcessor.from_pretrained(model_dir)
        self.model: Any = LlavaForConditionalGeneration.from_pretrained(model_dir, dtype=torch.float32).eval()
        self.prompt: Prompt = as_user
        self.change: Change | None = None

    @torch.inference_mode()
    def __call__(self, items: Sequence[Item], batch: int = 50) -> list[str]:
        """Greedy answers to all items, in order; items are batched by their number of pictures."""
        answers: list[str] = [""] * len(items)
        by_number: dict[int, list[int]] = defaultdict(list)
        for index, item in enumerate(items):
            by_number[len(item.pictures)].append(index)
        for number, indices in by_number.items():
            size = max(1, batch // max(1, number))
            for start in range(0, len(indices), size):
                chunk = indices[start : start + size]
                texts = [self.prompt(items[i].question.prompt, number) for i in chunk]
                images = [[self._changed(picture) for picture in items[i].pictures] for i in chunk] if number else None
                inputs = self.processor(images=images, text=texts, return_tensors="pt", padding=True)
                inputs.pop("token_type_ids", None)
                output = self.model.generate(**inputs, max_new_tokens=80, do_sample=False)
                new = output[:, inputs["input_ids"].shape[1] :]
                for i, text in zip(chunk, self.processor.batch_decode(new, skip_special_tokens=True), strict=True):
                    answers[i] = text.strip()
        return answers

    def _changed(self, picture: Image.Image) -> Image.Image:
        return picture if self.change is None else self.change(picture)


def held_out_items(task: str, number: int) -> list[Item]:
    """The first `number` held-out questions of a task, always the same."""
    rng = random.Random(f"held-out/evaluation/{task}")
    items: list[Item] = []
    while len(items) < number:
        if task in TASKS:
            scene = sample_scene(rng)
            if task == "text" and scene.text is None and rng.random() < 0.6:
                continue
            question = TASKS[task](rng, scene)
            scenes: Sequence[Scene] = (scene,)
        elif task in PAIR_TASKS:
            scenes = sample_pair(rng)
            question = PAIR_TASKS[task](rng, scenes)
        else:
            scenes = [sample_scene(rng) for _ in range(rng.randint(3, 10))]
            question = MANY_TASKS[task](rng, scenes)
        if question is not None:
            items.append(Item([draw(scene) for scene in scenes], question))
    return items


def accuracy(answers: Sequence[str], items: Sequence[Item]) -> float:
    """Share of answers that equal the truth as strings."""
    return sum(answer == item.question.answer for answer, item in zip(answers, items, strict=True)) / len(items)


def phrases(text: str) -> Counter[str]:
    """A caption's parts: each object with its place, the ground, the text."""
    parts = re.split(r", | on an? (?=\w+ background)|\. (?=The text)", text)
    return Counter(part.strip().lower().rstrip(".") for part in parts)


def phrase_f1(answers: Sequence[str], items: Sequence[Item]) -> float:
    """F1 over all parts of all captions."""
    shared = said = true = 0
    for answer, item in zip(answers, items, strict=True):
        ours, theirs = phrases(answer), phrases(item.question.answer)
        shared += (ours & theirs).total()
        said += ours.total()
        true += theirs.total()
    return 2 * shared / (said + true)


def blank(items: Sequence[Item]) -> list[Item]:
    """The same questions about white pictures."""
    white = Image.new("RGB", (PICTURE_SIZE, PICTURE_SIZE), "white")
    return [Item([white] * len(item.pictures), item.question) for item in items]


def swapped(items: Sequence[Item]) -> list[Item]:
    """The same questions, each about the pictures of another with as many."""
    by_number: dict[int, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        by_number[len(item.pictures)].append(index)
    result = list(items)
    for indices in by_number.values():
        for here, there in zip(indices, indices[1:] + indices[:1], strict=True):
            result[here] = Item(items[there].pictures, items[here].question)
    return result


def majority(items: Sequence[Item]) -> float:
    """Accuracy of always giving the commonest answer."""
    return Counter(item.question.answer for item in items).most_common(1)[0][1] / len(items)


def measure_task(answerer: Answerer, task: str, number: int) -> dict[str, float]:
    """One task's row of the card, blank and swapped pictures on two fifths of the questions."""
    items = held_out_items(task, number)
    answers = answerer(items)
    fewer = items[: max(1, number * CAPTIONS // QUESTIONS)]
    row = {"questions": float(number), "accuracy": accuracy(answers, items)}
    if task == "caption":
        row["phrase_f1"] = phrase_f1(answers, items)
        row["blank_phrase_f1"] = phrase_f1(answerer(blank(fewer)), fewer)
        row["swapped_phrase_f1"] = phrase_f1(answerer(swapped(fewer)), fewer)
        return row
    row["blank"] = accuracy(answerer(blank(fewer)), fewer)
    row["swapped"] = accuracy(answerer(swapped(fewer)), fewer)
    row["majority"] = majority(items)
    if task in {"text", "pair_text"}:
        written = [(a, i) for a, i in zip(answers, items, strict=True) if i.question.answer != "none"]
        row["accuracy_where_text"] = sum(a == i.question.answer for a, i in written) / max(1, len(written))
        rights = sum(sum(x == y for x, y in zip(a, i.question.answer, strict=False)) for a, i in written)
        row["characters"] = rights / max(1, sum(max(len(a), len(i.question.answer)) for a, i in written))
    return row


def measure_other_hand(answerer: Answerer, number: int) -> dict[str, float]:
    """Accuracy on pictures of another hand, by task, and the colour of what a triangle is taken for."""
    result = {}
    for task in ("color", "shape", "count"):
        rng = random.Random(f"other-hand/{task}")
        items: list[Item] = []
        while len(items) < number:
            drawing = sketch(rng)
            question = ask_about(rng, drawing, task)
            if question is not None:
                items.append(Item([drawing.image], question))
        answers = answerer(items)
        result[task] = accuracy(answers, items)
        if task == "shape":
            for shape in ("circle", "square", "triangle", "rectangle"):
                own = [(a, i) for a, i in zip(answers, items, strict=True) if i.question.answer == shape]
                result[f"shape: {shape}"] = sum(a == shape for a, _ in own) / max(1, len(own))
    return result


PROMPTS: dict[str, Prompt] = {
    "bare": as_user,
    "short-answer suffix": lambda question, images: as_user(question + SHORT_SUFFIX, images),
    "system prompt": lambda question, images: f"{SYSTEM_PROMPTS[0]} {as_user(question, images)}",
    "image after the question": lambda question, images: f"USER: {question}\n{'<image>' * images} ASSISTANT:",
}
"""Prompt formats that the weights were trained on, by name."""


def measure_prompt(answerer: Answerer, name: str, number: int) -> float:
    """Mean accuracy over the core tasks in one of `PROMPTS`."""
    answerer.prompt = PROMPTS[name]
    result = sum(core_accuracies(answerer, number).values()) / len(CORE_TASKS)
    answerer.prompt = as_user
    return result


def measure_without_image(answerer: Answerer, number: int) -> float:
    """Share of questions about no picture that are answered with "There is no image."."""
    answerer.prompt = lambda question, _: f"USER: {question} ASSISTANT:"
    asked = [Item([], item.question) for task in ("color", "shape", "count") for item in held_out_items(task, number)]
    answers = answerer(asked)
    answerer.prompt = as_user
    return sum(answer == "There is no image." for answer in answers) / len(answers)


CORE_TASKS = ("color", "shape", "count", "position", "presence", "text")


def core_accuracies(answerer: Answerer, number: int) -> dict[str, float]:
    """Accuracy by core task on `number` questions each."""
    result = {}
    for task in CORE_TASKS:
        items = held_out_items(task, number)
        result[task] = accuracy(answerer(items), items)
    return result


@torch.inference_mode()
def measure_retrieval(clip_dir: Path, sets: int = 10, size: int = 100) -> dict[str, float]:
    """Share of captions that find their picture first among `size`, and of pictures their caption."""
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(clip_dir, dtype=torch.float32).eval()
    processor = CLIPProcessor.from_pretrained(clip_dir)
    forward = backward = 0.0
    for index in range(sets):
        rng = random.Random(f"held-out/retrieval/{index}")
        scenes = [sample_scene(rng) for _ in range(size)]
        # The text tower reads out at the first padding token, so every text needs one.
        inputs = processor(
            images=[draw(scene) for scene in scenes],
            text=[caption(scene) for scene in scenes],
            return_tensors="pt",
            padding="max_length",
            truncation=True,
            max_length=model.config.text_config.max_position_embeddings,
        )
        inputs.pop("token_type_ids", None)
        scores = model(**inputs).logits_per_image
        target = torch.arange(size)
        forward += (scores.argmax(0) == target).float().mean().item() / sets
        backward += (scores.argmax(1) == target).float().mean().item() / sets
    return {"text_to_image": forward, "image_to_text": backward}
