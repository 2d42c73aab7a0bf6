"""The exercises that are judged, by their question's id."""

from __future__ import annotations

from sandbox.judge import batches, cache, decoding, preprocessing, prompting, reducing, search, tiling, video

_MODULES = (prompting, preprocessing, decoding, batches, cache, video, search, reducing, tiling)
EXERCISES = {module.EXERCISE.id: module.EXERCISE for module in _MODULES}
