"""What common faults of a LLaVA pipeline cost: each is made on purpose, and the core tasks are measured again.

The labs build on this: a fault that costs nothing can't be found by looking at answers, and the table says which
those are.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from sandbox.tiny.evaluation import CORE_TASKS, Answerer, Item, accuracy, core_accuracies, held_out_items
from sandbox.tiny.questions import SHORT_SUFFIX
from sandbox.tiny.scene import PICTURE_SIZE

Change = Callable[[Image.Image], Image.Image]


def measure_faults(answerer: Answerer, number: int) -> dict[str, dict[str, float]]:
    """Accuracy by core task and its mean under each fault, on `number` questions a task."""
    rows: dict[str, dict[str, float]] = {"none": _with_mean(core_accuracies(answerer, number))}
    for name, settings in _PREPROCESSING.items():
        with _image_processor(answerer, settings):
            rows[name] = _with_mean(core_accuracies(answerer, number))
    for name, change in _PICTURES.items():
        rows[name] = _with_mean(core_accuracies(answerer, number, change))
    for layer in (-1, -3, -4):
        with _feature_layer(answerer, layer):
            rows[f"feature layer {layer}"] = _with_mean(core_accuracies(answerer, number))
    with _class_token_kept(answerer):
        rows["class token kept (strategy full)"] = _with_mean(core_accuracies(answerer, number))
    model = answerer.model.model
    for name, module in {
        "random projector": model.multi_modal_projector,
        "random second projector layer": model.multi_modal_projector.linear_2,
        "random vision tower": model.vision_tower,
    }.items():
        with _random_weights(module):
            rows[name] = _with_mean(core_accuracies(answerer, number))
    for name, prompt in _PROMPTS.items():
        usual, answerer.prompt = answerer.prompt, prompt
        rows[name] = _with_mean(core_accuracies(answerer, number))
        answerer.prompt = usual
    rows["mixed lengths, left padding"] = {"mean": _mixed(answerer, number, "left")}
    rows["mixed lengths, right padding"] = {"mean": _mixed(answerer, number, "right")}
    return rows


_PREPROCESSING: dict[str, dict[str, Any]] = {
    "mean and std 0.5": {"image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    "ImageNet mean and std": {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    "not normalized": {"do_normalize": False},
    "not rescaled": {"do_rescale": False},
}


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


_PICTURES: dict[str, Change] = {
    "BGR": _bgr,
    "grayscale": lambda picture: picture.convert("L").convert("RGB"),
    "flipped horizontally": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "halved to 56 px": lambda picture: picture.resize((56, 56)),
    "JPEG quality 20": _jpeg,
    "noise of sd 32": _noisy,
    "enlarged to 224 px": lambda picture: picture.resize((224, 224), Image.Resampling.BICUBIC),
    "stretched to 168 x 112, sides cropped": lambda picture: picture.resize((168, PICTURE_SIZE)),
}

_PROMPTS: dict[str, Callable[[str, int], str]] = {
    "no roles": lambda question, images: "<image>\n" * images + question,
    "lower-case roles": lambda question, images: "user: " + "<image>\n" * images + question + " assistant:",
}


def _with_mean(row: dict[str, float]) -> dict[str, float]:
    return {"mean": sum(row.values()) / len(row)} | row


@contextmanager
def _image_processor(answerer: Answerer, settings: dict[str, Any]) -> Iterator[None]:
    processor = answerer.processor.image_processor
    before = {name: getattr(processor, name) for name in settings}
    for name, value in settings.items():
        setattr(processor, name, value)
    yield
    for name, value in before.items():
        setattr(processor, name, value)


@contextmanager
def _feature_layer(answerer: Answerer, layer: int) -> Iterator[None]:
    config = answerer.model.config
    before, config.vision_feature_layer = config.vision_feature_layer, layer
    yield
    config.vision_feature_layer = before


@contextmanager
def _class_token_kept(answerer: Answerer) -> Iterator[None]:
    holders = (answerer.model.config, answerer.processor)
    for holder in holders:
        holder.vision_feature_select_strategy = "full"
    yield
    for holder in holders:
        holder.vision_feature_select_strategy = "default"


@contextmanager
def _random_weights(module: torch.nn.Module) -> Iterator[None]:
    before = {name: value.clone() for name, value in module.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.02)
    yield
    module.load_state_dict(before)


def _mixed(answerer: Answerer, number: int, side: str) -> float:
    """Accuracy on batches of all core tasks mixed, a third of the prompts with the short-answer suffix."""
    items = [item for task in CORE_TASKS for item in held_out_items(task, number)]
    random.Random("mixed").shuffle(items)
    tokenizer = answerer.processor.tokenizer
    before, tokenizer.padding_side = tokenizer.padding_side, side
    usual = answerer.prompt

    def prompt(question: str, images: int) -> str:
        return usual(question + SHORT_SUFFIX * (len(question) % 3 == 0), images)

    answerer.prompt = prompt
    result = accuracy(answerer(list[Item](items)), items)
    answerer.prompt = usual
    tokenizer.padding_side = before
    return result
