"""The three stages of training and their losses.

1. vision: the tower alone learns to tell, at each patch, what lies there (see `labels`).
2. llava: projector and language model learn to answer; after a first twentieth with the tower frozen, as in LLaVA's
   alignment stage, everything up to feature layer -2 learns with them, and the dense loss goes on at a low weight.
3. clip: behind the frozen trunk, the last layer, the text tower and the projections learn to match pictures and texts.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from sandbox.tiny.labels import PATCH_CLASSES, PICTURE_CLASSES
from sandbox.tiny.layers import Network, normalize, packed_bias
from sandbox.tiny.model import HEAD_SIZES, LANGUAGE_HEADS, VISION_HEADS, VISION_LAYERS, Trainee, is_last_vision_layer
from sandbox.tiny.optimizer import Group
from sandbox.tiny.packing import (
    TASK_NAMES,
    Batch,
    Packer,
    Pictures,
    batch_kind,
    draw_pictures,
    retrieval_text,
    text_ids,
)
from sandbox.tiny.scene import sample_scene
from sandbox.tiny.vocabulary import PAD, Encoder

PATCH_LOSS_WEIGHTS = {
    "shape": 1.0,
    "color": 1.0,
    "size": 0.5,
    "cell": 0.7,
    "rank": 0.7,
    "same_color": 0.7,
    "same_shape": 0.7,
    "character": 1.5,
    "character_index": 0.5,
}
PICTURE_LOSS_WEIGHTS = {"count": 0.5, "background": 0.3, "text_length": 0.3}
_OFFSET_WEIGHT = 2.0
_EMPTY_WEIGHT = 0.15  # most patches hold no centre
_VISION_RATE = 0.35  # of the language model's learning rate, in the second stage


@dataclass(frozen=True)
class Losses:
    """A loss to minimise and numbers for the log."""

    total: Tensor
    log: dict[str, float]


def dense_losses(trainee: Trainee, features: Tensor, pictures: Pictures) -> Losses:
    """Loss of the dense heads on features (n, 65, width) of layer -2, and accuracies where something is centred."""
    normed = F.layer_norm(features[:, 1:], features.shape[-1:])
    outputs = trainee.heads(normed).float().split(HEAD_SIZES, -1)
    patch_outputs, offset, picture_outputs = outputs[:9], outputs[9], outputs[10:]
    total = torch.zeros(())
    log = {}
    for index, name in enumerate(PATCH_CLASSES):
        logits, target = patch_outputs[index], pictures.patches[:, index]
        weights = torch.ones(logits.shape[-1])
        weights[0] = _EMPTY_WEIGHT
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1), weight=weights)
        total = total + PATCH_LOSS_WEIGHTS[name] * loss
        filled = target > 0
        log[name] = (logits.argmax(-1)[filled] == target[filled]).float().mean().item()
    filled = pictures.patches[:, 0] > 0
    if filled.any():
        total = total + _OFFSET_WEIGHT * F.smooth_l1_loss(offset[filled], pictures.offsets[filled], beta=0.2)
    for index, name in enumerate(PICTURE_CLASSES):
        logits = picture_outputs[index]
        target = pictures.picture[:, index, None].expand(-1, logits.shape[1])
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1))
        total = total + PICTURE_LOSS_WEIGHTS[name] * loss
        log[name] = (logits.argmax(-1) == target).float().mean().item()
    return Losses(total, log)


class Stage(ABC):
    """One stage: which weights learn, from what, and how fast."""

    name: str
    minutes: float
    """Share of the whole training time."""
    steps: float
    """Steps for each step of the LLaVA stage, when steps are counted instead of minutes."""
    rate: float
    matrix_rate: float

    def __init__(self, trainee: Trainee, network: Network, encode: Encoder) -> None:
        self.trainee = trainee
        self.network = network
        self.encode = encode

    @abstractmethod
    def groups(self) -> list[Group]:
        """The weights that learn."""

    @abstractmethod
    def losses(self, rng: random.Random, step: int, progress: float) -> Losses:
        """The loss on a fresh batch; `progress` goes from 0 to 1."""

    def scale(self, progress: float) -> dict[float, float]:
        """Multiples of the learning rate by group rate."""
        del progress
        return {}

    @abstractmethod
    def held_out(self) -> dict[str, float]:
        """Accuracies on scenes that training never draws."""

    def _weights(self, *prefixes: str) -> dict[str, torch.nn.Parameter]:
        return {name: weight for name, weight in self.trainee.named_parameters() if name.startswith(prefixes)}

    def _trunk(self) -> dict[str, torch.nn.Parameter]:
        weights = self._weights("llava.model.vision_tower")
        return {name: weight for name, weight in weights.items() if not is_last_vision_layer(name)}

    def _features(self, pictures: Pictures) -> Tensor:
        pixels = normalize(pictures.pixels).to(self.trainee.heads.weight.dtype)
        return self.network.select(self.trainee.tower, pixels, VISION_HEADS)


class VisionStage(Stage):
    """Dense supervision of the vision tower."""

    name, minutes, steps, rate, matrix_rate = "vision", 0.15, 0.8, 2e-3, 4e-3
    pictures = 32

    def groups(self) -> list[Group]:
        """The tower up to layer -2, and the heads."""
        return [Group(self._trunk() | self._weights("heads"))]

    def losses(self, rng: random.Random, step: int, progress: float) -> Losses:
        """Dense loss on fresh pictures."""
        pictures = draw_pictures([sample_scene(rng) for _ in range(self.pictures)])
        return dense_losses(self.trainee, self._features(pictures), pictures)

    @torch.no_grad()
    def held_out(self) -> dict[str, float]:
        """Accuracy by head on 256 scenes."""
        rng = random.Random("held-out/vision")
        rows = []
        for _ in range(256 // self.pictures):
            pictures = draw_pictures([sample_scene(rng) for _ in range(self.pictures)])
            rows.append(dense_losses(self.trainee, self._features(pictures), pictures).log)
        return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


class LlavaStage(Stage):
    """Answers to questions."""

    name, minutes, steps, rate, matrix_rate = "llava", 0.78, 1.0, 1.5e-3, 4e-3
    frozen = 0.05
    dense_weight = 0.2

    def __init__(self, trainee: Trainee, network: Network, encode: Encoder) -> None:
        super().__init__(trainee, network, encode)
        self.packer = Packer(encode)

    def groups(self) -> list[Group]:
        """Projector and language model, and more slowly the tower and the heads."""
        fast = self._weights("llava.model.language_model", "llava.model.multi_modal_projector")
        return [Group(fast), Group(self._trunk() | self._weights("heads"), _VISION_RATE)]

    def scale(self, progress: float) -> dict[float, float]:
        """The tower joins after the first twentieth."""
        return {_VISION_RATE: min(1.0, max(0.0, progress - self.frozen) / 0.03)}

    def losses(self, rng: random.Random, step: int, progress: float) -> Losses:
        """Cross-entropy of the answers, and the dense loss."""
        batch = self.packer.batch(rng, batch_kind(step))
        frozen = progress <= self.frozen
        features, logits, chosen = self.forward(batch, frozen=frozen)
        weights = batch.sequences.weights[chosen]
        each = F.cross_entropy(logits, batch.sequences.targets[chosen], reduction="none")
        answers = (each * weights).sum() / weights.sum()
        log = {"answers": answers.item()}
        total = answers
        if not frozen:
            dense = dense_losses(self.trainee, features, batch.pictures)
            total = total + self.dense_weight * dense.total
            log["dense"] = dense.total.item()
        return Losses(total, log)

    def forward(self, batch: Batch, *, frozen: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Features (n, 65, width), logits (targets, vocabulary) in float32, and where the targets are."""
        sequences = batch.sequences
        features = self._features(batch.pictures)
        if frozen:
            features = features.detach()
        projected = self.network.project(self.trainee.projector, features[:, 1:])
        table = self.trainee.language.embed_tokens.weight
        embedded = F.embedding(sequences.ids, table)
        is_image = (sequences.slots >= 0)[..., None]
        pictured = projected.reshape(-1, projected.shape[-1])[sequences.slots.clamp(min=0)]
        x = torch.where(is_image, pictured, embedded)
        hidden = self.network.language(
            self.trainee.language, x, packed_bias(sequences.segments), sequences.positions, LANGUAGE_HEADS
        )
        chosen = sequences.targets >= 0
        return features, F.linear(hidden[chosen], table).float(), chosen

    @torch.no_grad()
    def held_out(self) -> dict[str, float]:
        """Share of questions by task whose every token is predicted rightly, given the ones before."""
        rng = random.Random("held-out/llava")
        right: dict[str, list[bool]] = defaultdict(list)
        for step in range(16):
            batch = self.packer.batch(rng, batch_kind(step))
            _, logits, chosen = self.forward(batch, frozen=True)
            for task, good in answers_right(batch, logits, chosen):
                right[task].append(good)
        return {task: sum(right[task]) / len(right[task]) for task in TASK_NAMES if task in right}


def answers_right(batch: Batch, logits: Tensor, chosen: Tensor) -> list[tuple[str, bool]]:
    """For each question of a batch its task and whether all its answer's tokens are the likeliest."""
    rows = torch.nonzero(chosen)[:, 0]
    keys = (rows * 100_000 + batch.sequences.questions[chosen]).tolist()
    hits = (logits.argmax(-1) == batch.sequences.targets[chosen]).tolist()
    whole: dict[int, bool] = {}
    for key, hit in zip(keys, hits, strict=True):
        whole[key] = whole.get(key, True) and hit
    return [(TASK_NAMES[key % 100], good) for key, good in whole.items()]


class ClipStage(Stage):
    """Contrastive learning of pictures and texts (Radford et al. 2021)."""

    name, minutes, steps, rate, matrix_rate = "clip", 0.07, 0.25, 1.5e-3, 3e-3
    pairs = 64

    def groups(self) -> list[Group]:
        """The last layer, the norm behind it, the text tower, the projections and the temperature."""
        weights = self._weights("clip.")
        tower = self._weights("llava.model.vision_tower")
        return [Group(weights | {name: weight for name, weight in tower.items() if is_last_vision_layer(name)})]

    def losses(self, rng: random.Random, step: int, progress: float) -> Losses:
        """Symmetric cross-entropy over a batch of pairs."""
        scenes = [sample_scene(rng) for _ in range(self.pairs)]
        logits = self._similarity(draw_pictures(scenes), [retrieval_text(rng, scene) for scene in scenes])
        target = torch.arange(self.pairs)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        return Losses(loss, {"retrieval": (logits.argmax(-1) == target).float().mean().item()})

    def _similarity(self, pictures: Pictures, texts: Sequence[str]) -> Tensor:
        with torch.no_grad():
            trunk = self._features(pictures)
        seen = F.normalize(self._picture_embedding(trunk).float(), dim=-1)
        ids = torch.tensor([text_ids(self.encode, text) for text in texts])
        said = F.normalize(self._text_embedding(ids).float(), dim=-1)
        return seen @ said.T * self.trainee.clip.logit_scale.float().exp().clamp(max=100)

    def _picture_embedding(self, trunk: Tensor) -> Tensor:
        tower = self.trainee.tower
        last = self.network.clip_layers(tower.encoder.layers[VISION_LAYERS - 1 :], trunk, VISION_HEADS)
        return self.trainee.clip.visual_projection(tower.post_layernorm(last[:, 0]))

    def _text_embedding(self, ids: Tensor) -> Tensor:
        model = self.trainee.clip.text_model
        length = ids.shape[1]
        x = model.embeddings.token_embedding(ids) + model.embeddings.position_embedding.weight[:length]
        causal = torch.full((length, length), -1e9).triu(1)
        x = model.final_layer_norm(self.network.clip_layers(model.encoder.layers, x, VISION_HEADS, causal))
        end = (ids == PAD).int().argmax(-1)
        return self.trainee.clip.text_projection(x[torch.arange(len(ids)), end])

    @torch.no_grad()
    def held_out(self) -> dict[str, float]:
        """Share of texts that find their picture among 64, over four sets."""
        rng = random.Random("held-out/clip")
        found = []
        for _ in range(4):
            scenes = [sample_scene(rng) for _ in range(self.pairs)]
            logits = self._similarity(draw_pictures(scenes), [retrieval_text(rng, scene) for scene in scenes])
            found.append((logits.argmax(0) == torch.arange(self.pairs)).float().mean().item())
        return {"text_to_image": sum(found) / len(found)}


STAGES: tuple[type[Stage], ...] = (VisionStage, LlavaStage, ClipStage)


def warm_cosine(step: int, progress: float, warm_up: int = 60) -> float:
    """Multiple of the learning rate: linear over `warm_up` steps, then a cosine down to 2 %."""
    return min(1.0, (step + 1) / warm_up) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
