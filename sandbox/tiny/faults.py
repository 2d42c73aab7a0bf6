"""What common faults of a LLaVA pipeline cost: each is made on purpose, and the core tasks are measured again.

The labs build on this: a fault that costs nothing can't be found by looking at answers, and the table says which
those are.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from sandbox.tiny.evaluation import (
    CORE_TASKS,
    Answerer,
    Change,
    Prompt,
    accuracy,
    as_user,
    core_accuracies,
    held_out_items,
)
from sandbox.tiny.questions import SHORT_SUFFIX
from sandbox.tiny.scene import PICTURE_SIZE

Fault = Callable[[Answerer], AbstractContextManager[None]]


def measure_fault(answerer: Answerer, name: str, number: int) -> dict[str, float]:
    """Accuracy by core task and its mean under one of `FAULTS`, on `number` questions a task.

    The two paddings are measured on batches of all tasks mixed, because equal lengths need no padding: mean only.
    """
    if name in PADDINGS:
        return {"mean": _mixed_accuracy(answerer, number, PADDINGS[name])}
    with FAULTS[name](answerer):
        row = core_accuracies(answerer, number)
    return {"mean": sum(row.values()) / len(row)} | row


def _preprocessing(**settings: Any) -> Fault:
    @contextmanager
    def fault(answerer: Answerer) -> Iterator[None]:
        processor = answerer.processor.image_processor
        before = {name: getattr(processor, name) for name in settings}
        for name, value in settings.items():
            setattr(processor, name, value)
        yield
        for name, value in before.items():
            setattr(processor, name, value)

    return fault


def _pictures(change: Change) -> Fault:
    @contextmanager
    def fault(answerer: Answerer) -> Iterator[None]:
        answerer.change = change
        yield
        answerer.change = None

    return fault


def _prompt(prompt: Prompt) -> Fault:
    @contextmanager
    def fault(answerer: Answerer) -> Iterator[None]:
        before, answerer.prompt = answerer.prompt, prompt
        yield
        answerer.prompt = before

    return fault


def _feature_layer(layer: int) -> Fault:
    @contextmanager
    def fault(answerer: Answerer) -> Iterator[None]:
        config = answerer.model.config
        before, config.vision_feature_layer = config.vision_feature_layer, layer
        yield
        config.vision_feature_layer = before

    return fault


@contextmanager
def _class_token_kept(answerer: Answerer) -> Iterator[None]:
    holders = (answerer.model.config, answerer.processor)
    for holder in holders:
        holder.vision_feature_select_strategy = "full"
    yield
    for holder in holders:
        holder.vision_feature_select_strategy = "default"


def _random_weights(path: str) -> Fault:
    @contextmanager
    def fault(answerer: Answerer) -> Iterator[None]:
        module = answerer.model.model.get_submodule(path)
        before = {name: value.clone() for name, value in module.state_dict().items()}
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in module.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.02)
        yield
        module.load_state_dict(before)

    return fault


def _bgr(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(picture)[..., ::-1].copy())


def _jpeg(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=20)
    with Image.open(buffer) as reread:
        return reread.convert("RGB")


def _noisy(picture: Image.Image) -> Image.Image:
    pixels = np.asarray(picture, np.float32)
    noise = np.random.default_rng(0).normal(0, 32, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


FAULTS: dict[str, Fault] = {
    "none": _pictures(lambda picture: picture),
    "mean and std 0.5": _preprocessing(image_mean=[0.5] * 3, image_std=[0.5] * 3),
    "ImageNet mean and std": _preprocessing(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]),
    "not normalized": _preprocessing(do_normalize=False),
    "not rescaled": _preprocessing(do_rescale=False),
    "BGR": _pictures(_bgr),
    "grayscale": _pictures(lambda picture: picture.convert("L").convert("RGB")),
    "flipped horizontally": _pictures(lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "halved to 56 px": _pictures(lambda picture: picture.resize((56, 56))),
    "JPEG quality 20": _pictures(_jpeg),
    "noise of sd 32": _pictures(_noisy),
    "enlarged to 224 px": _pictures(lambda picture: picture.resize((224, 224), Image.Resampling.BICUBIC)),
    "stretched to 168 x 112, sides cropped": _pictures(lambda picture: picture.resize((168, PICTURE_SIZE))),
    "feature layer -1": _feature_layer(-1),
    "feature layer -3": _feature_layer(-3),
    "feature layer -4": _feature_layer(-4),
    "class token kept (strategy full)": _class_token_kept,
    "random projector": _random_weights("multi_modal_projector"),
    "random second projector layer": _random_weights("multi_modal_projector.linear_2"),
    "random vision tower": _random_weights("vision_tower"),
    "no roles": _prompt(lambda question, images: "<image>\n" * images + question),
    "lower-case roles": _prompt(lambda question, images: f"user: {'<image>' * images}\n{question} assistant:"),
}
"""Faults by name, each a context in which an answerer has it."""

PADDINGS = {"mixed lengths, left padding": "left", "mixed lengths, right padding": "right"}


def _mixed_accuracy(answerer: Answerer, number: int, side: str) -> float:
    """Accuracy on batches of all core tasks mixed, about a third of the prompts with the short-answer suffix."""
    items = [item for task in CORE_TASKS for item in held_out_items(task, number)]
    random.Random("mixed").shuffle(items)
    tokenizer = answerer.processor.tokenizer
    before, tokenizer.padding_side = tokenizer.padding_side, side
    with _prompt(lambda question, images: as_user(question + SHORT_SUFFIX * (len(question) % 3 == 0), images))(
        answerer
    ):
        result = accuracy(answerer(items), items)
    tokenizer.padding_side = before
    return result
