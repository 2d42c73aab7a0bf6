"""The engine's caches: pictures as the vision tower takes them, their features, and prompts up to the last picture.

A key holds all that a value depends on: the picture's content (mode, size, palette, orientation and bytes, or the
file's bytes), the processor's configuration, the model with its weights, the feature layer, device and number format.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sandbox.cache import ByteCache, CacheReport
from sandbox.checkpoint import Checkpoint
from sandbox.identity import processor_key
from sandbox.programs import KeyValues
from sandbox.settings import SandboxSettings
from sandbox.tiles import Layout

MB = 1_000_000


@dataclass(frozen=True)
class Pixels:
    """A picture after `preprocess`."""

    pixels: np.ndarray
    """float32 (t, 3, S, S), its tiles; read-only."""
    layout: Layout


@dataclass(frozen=True)
class Features:
    """A picture after `project`."""

    rows: np.ndarray
    """float32 (rows, D); read-only."""
    shapes: dict[str, tuple[int, ...]]
    """Of one tile after the stages before, by stage."""
    seconds: float
    """What it took to compute, without waiting for the model."""


class Caches:
    """All of an engine's caches."""

    def __init__(self, checkpoint: Checkpoint, settings: SandboxSettings, weights: str) -> None:
        """Take the model, the settings' limits and the weights' fingerprint."""
        placement = checkpoint.placement
        self.pixels_key = processor_key(checkpoint)
        self.features_key = f"{weights} {placement.device} {placement.dtype_name} {checkpoint.strategy}".encode()
        self.pixels = ByteCache[Pixels]("pixels", settings.sandbox_pixel_cache_mb * MB, lambda each: each.pixels.nbytes)
        self.features = ByteCache[Features](
            "features", settings.sandbox_feature_cache_mb * MB, lambda each: each.rows.nbytes, lambda each: each.seconds
        )
        self.prefixes = ByteCache[KeyValues]("prefixes", settings.sandbox_prefix_cache_mb * MB, _bytes)

    def report(self) -> list[CacheReport]:
        """Return how each cache stands."""
        return [self.pixels.report(), self.features.report(), self.prefixes.report()]

    def clear(self) -> None:
        """Forget everything that is kept."""
        for cache in (self.pixels, self.features, self.prefixes):
            cache.clear()


def _bytes(parts: KeyValues) -> int:
    return sum(each.numel() * each.element_size() for part in parts for each in part)
