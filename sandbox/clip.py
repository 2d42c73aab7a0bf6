"""CLIP: pictures and texts in one space, for search.

A model of its own beside the engine's LLaVA: LLaVA's features are taken a layer before CLIP's space and are made for a
language model, so they don't rank pictures by words.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor
from transformers.utils import logging

from sandbox.device import choose_placement
from sandbox.errors import EngineFailed, PromptTooLong
from sandbox.settings import SandboxSettings

BATCH = 32
"""Pictures or texts that are embedded together."""


class Clip:
    """A loaded CLIP; safe to share between threads. Made by `load_clip`."""

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        """Take a `CLIPModel` in evaluation mode and its `CLIPProcessor`."""
        self.name = name
        self._model, self._processor = model, processor

    @property
    def dim(self) -> int:
        """Width of the space."""
        return int(self._model.config.projection_dim)

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Return the pictures' unit vectors, float32 (pictures, dim)."""
        return self._in_batches(images, lambda batch: self._processor(images=batch, return_tensors="pt"), "image")

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return the texts' unit vectors, float32 (texts, dim); a text longer than the text tower holds is refused.

        Raises:
            PromptTooLong: A text has too many tokens; its sentence says how many are held.
        """
        longest = int(self._model.config.text_config.max_position_embeddings)
        for text in texts:
            tokens = len(self._processor.tokenizer(text)["input_ids"])
            if tokens > longest:
                raise PromptTooLong(
                    f"This text has {tokens} tokens; the text tower of {self.name} holds {longest}. Shorten it."
                )
        # some text towers read out at the first padding token, so there is always padding up to the full length
        padded = {"padding": "max_length", "max_length": longest, "truncation": True, "return_tensors": "pt"}
        return self._in_batches(texts, lambda batch: self._processor(text=batch, **padded), "text")

    @torch.inference_mode()
    def _in_batches(self, items: Sequence[Any], prepare: Any, kind: str) -> np.ndarray:
        rows = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(items), BATCH):
            inputs = prepare(list(items[start : start + BATCH])).to(self._model.device, self._model.dtype)
            if kind == "image":
                found = self._model.get_image_features(pixel_values=inputs["pixel_values"])
            else:
                found = self._model.get_text_features(**inputs)
            vectors = getattr(found, "pooler_output", found).float().cpu().numpy()
            rows.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
        return np.concatenate(rows).astype(np.float32)


def load_clip(settings: SandboxSettings | None = None) -> Clip:
    """Return the settings' CLIP, loaded once a process.

    Raises:
        EngineFailed: There is no CLIP of that name, or it can't be read.
    """
    settings = settings or SandboxSettings()
    return _load(settings.clip_checkpoint, settings.sandbox_device)


@lru_cache(maxsize=2)
def _load(name: str, device: str) -> Clip:
    logging.disable_progress_bar()
    placement = choose_placement(device)
    try:
        model = CLIPModel.from_pretrained(name, dtype=placement.dtype, use_safetensors=True)
        processor = CLIPProcessor.from_pretrained(name, backend="pil")
    except (OSError, ValueError, KeyError) as error:
        raise EngineFailed(
            f"The CLIP {name} can't be loaded. Check SANDBOX_CLIP, and the connection if it is a hub id."
        ) from error
    return Clip(Path(name).name, model.to(placement.device).eval(), processor)
