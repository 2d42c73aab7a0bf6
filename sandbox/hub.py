"""Fetches a checkpoint from the Hugging Face Hub, with what is known of it before and how far it is."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from shutil import disk_usage
from typing import Any

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import HTTPError, RepositoryNotFoundError
from tqdm import tqdm

from sandbox.errors import EngineFailed
from sandbox.memory import size_words

FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
"""What is fetched: weights as safetensors only, settings, and the tokenizer."""
SUBFOLDERS = "*/*"


def is_hub_id(name: str) -> bool:
    """Whether a name has the form `owner/model`."""
    parts = name.split("/")
    return len(parts) == 2 and all(part and not part.startswith((".", "~")) for part in parts)


def count_hub_weights(name: str) -> int | None:
    """Return how many numbers are in a hub checkpoint's weights; None where the Hub can't be asked or doesn't say."""
    try:
        found = HfApi().model_info(name).safetensors
    except (OSError, HTTPError):
        return None
    return found.total if found else None


def fetch(name: str, progress: Callable[[str], None]) -> Path:
    """Download a checkpoint, or take it from the Hub's cache, and return its folder.

    Args:
        name: The hub id.
        progress: Told how many bytes have come.

    Raises:
        EngineFailed: There is no such model, it has no safetensors weights, or the disk has no room.
        OSError: The Hub can't be reached and the cache doesn't have it.
    """
    try:
        info = HfApi().model_info(name, files_metadata=True)
    except RepositoryNotFoundError as error:
        raise EngineFailed(
            f"The Hugging Face Hub has no model {name} that can be read from here. Check the name; if it is private or "
            "wants its license accepted, set HF_TOKEN."
        ) from error
    except (OSError, HTTPError) as error:
        try:
            return Path(snapshot_download(name, local_files_only=True))
        except OSError:
            raise OSError(f"the Hugging Face Hub can't be reached: {error}") from error
    wanted = [file for file in info.siblings or [] if "/" not in file.rfilename]
    if not any(file.rfilename.endswith(".safetensors") for file in wanted):
        raise EngineFailed(f"{name} has no weights in the safetensors format, the only one that is read here.")
    weights = sum(file.size or 0 for file in wanted if file.rfilename.endswith(".safetensors"))
    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    room = disk_usage(cache).free
    if weights > room and not _is_cached(name, info.sha):
        raise EngineFailed(
            f"{name} takes {size_words(weights)} on disk; {size_words(room)} are free at {cache}. Nothing was fetched. "
            "Free some space, or set HF_HOME to another disk."
        )
    bars: list[Any] = []
    folder = snapshot_download(
        name,
        revision=info.sha,
        allow_patterns=FILES,
        ignore_patterns=[SUBFOLDERS],
        tqdm_class=_reporter(name, progress, bars),
    )
    for bar in bars:
        bar.disable = True  # or they report once more when they are collected
    return Path(folder)


def _is_cached(name: str, revision: str | None) -> bool:
    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except OSError:
        return False
    return any(folder.glob("*.safetensors"))


def _reporter(name: str, progress: Callable[[str], None], bars: list[Any]) -> type:
    """Return a progress bar that tells the bytes instead of drawing them, and adds itself to `bars`."""

    class Reporter(tqdm):
        monitor_interval = 0

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "file": io.StringIO()})
            bars.append(self)

        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            if self.unit == "B" and self.n and self.total:
                progress(f"Downloading {name}: {size_words(self.n)} of {size_words(self.total)}")

    return Reporter
