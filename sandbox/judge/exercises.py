"""The exercises that are judged, by their question's id."""

from __future__ import annotations

from sandbox.judge import batches, cache, decoding, preprocessing, video

_MODULES = (preprocessing, decoding, batches, cache, video)
EXERCISES = {module.EXERCISE.id: module.EXERCISE for module in _MODULES}
