"""A LLaVA checkpoint in memory: its weights, its processor, and the few facts that the stages need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.utils import logging

from sandbox.device import Placement
from sandbox.errors import EngineFailed
from sandbox.processor import load_processor
from sandbox.tiles import TILED, Layout, layouts

FAMILIES = ("llava", "vipllava", "llava_next", "llava_onevision")
"""Model types that run here."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model."""

    name: str
    model: Any
    """`LlavaForConditionalGeneration` or a relative of its, in evaluation mode."""
    processor: Any
    """Its processor, with Pillow's image processor."""
    placement: Placement

    @property
    def tokenizer(self) -> Any:
        """The language model's tokenizer."""
        return self.processor.tokenizer

    @property
    def image_token(self) -> int:
        """Id of the token that stands for one row of a picture's features."""
        return int(self.model.config.image_token_id)

    @property
    def feature_layer(self) -> int | list[int]:
        """Vision layer, or layers side by side, whose hidden states are used."""
        layer = self.model.config.vision_feature_layer
        return layer if isinstance(layer, int) else list(layer)

    @property
    def vision_layers(self) -> int:
        """Number of the vision tower's layers."""
        return int(self.model.config.vision_config.num_hidden_layers)

    @property
    def strategy(self) -> str:
        """`default` drops the class token, `full` keeps all."""
        return str(getattr(self.model.config, "vision_feature_select_strategy", "default"))  # VipLLaVA has no other

    @property
    def patch_size(self) -> int:
        """Side of a patch, in pixels."""
        return int(self.model.config.vision_config.patch_size)

    @property
    def width(self) -> int:
        """Width of the language model's embeddings."""
        return int(self.model.config.text_config.hidden_size)

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        return int(self.model.config.text_config.vocab_size)

    @property
    def context(self) -> int:
        """Most tokens that the language model can hold, prompt and answer together."""
        return int(self.model.config.text_config.max_position_embeddings)

    @property
    def end_tokens(self) -> frozenset[int]:
        """Ids that end an answer."""
        ends = self.model.generation_config.eos_token_id
        return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])

    @property
    def answer_length(self) -> int | None:
        """Longest answer by the checkpoint's own generation settings, in tokens."""
        length: int | None = self.model.generation_config.max_new_tokens
        return length

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return int(self.model.num_parameters())

    @property
    def tiled(self) -> bool:
        """Whether a picture is cut into tiles."""
        return self.model.config.model_type in TILED

    def layouts(self, sizes: Sequence[tuple[int, int]]) -> list[Layout]:
        """Return how the pictures of one prompt are cut into tiles and tokens.

        Args:
            sizes: Width and height of each, upright; nothing needs to be decoded.
        """
        return layouts(sizes, self.model.config, self.processor)

    def count_image_tokens(self, size: tuple[int, int], images: int = 1) -> int:
        """Return how many tokens a picture takes in a prompt of `images` pictures, by its width and height alone."""
        return self.layouts([size] * images)[0].tokens

    def count_tiles(self, size: tuple[int, int], images: int = 1) -> int:
        """Return how many squares the vision tower sees of a picture in a prompt of `images` pictures."""
        return self.layouts([size] * images)[0].tiles

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Copy an array to the model's device; floats become its dtype."""
        if self.placement.device.startswith("cuda"):  # from pinned memory the copy runs beside the computation
            tensor = torch.tensor(array).pin_memory().to(self.placement.device, non_blocking=True)
        else:
            tensor = torch.tensor(array, device=self.placement.device)
        return tensor.to(self.placement.dtype) if tensor.is_floating_point() else tensor

    @torch.inference_mode()
    def embed(self, ids: np.ndarray) -> np.ndarray:
        """Return the language model's embeddings, int64 (L,) -> float32 (L, D)."""
        return to_array(self.model.get_input_embeddings()(self.tensor(ids)))


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """Copy a tensor into a float32 array; exact from every half precision."""
    array: np.ndarray = tensor.float().cpu().numpy()
    return array


def load_checkpoint(name: str, placement: Placement, progress: Callable[[str], None]) -> Checkpoint:
    """Load a checkpoint from a folder or the Hugging Face Hub.

    Weights are read from safetensors only, and no code of a checkpoint is ever run.

    Args:
        name: A folder, or a hub id.
        placement: Where to put it.
        progress: Told what is being done, for people.

    Raises:
        EngineFailed: There is nothing of that name, it is not a LLaVA, or it can't be read.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir() and not _is_hub_id(name):
        raise EngineFailed(f"There is no model at {name}. Set SANDBOX_MODEL to a folder or a hub id.")
    source = str(folder) if folder.is_dir() else name
    label = folder.name if folder.is_dir() else name
    logging.disable_progress_bar()
    try:
        progress(f"Reading the settings of {label}")
        config = AutoConfig.from_pretrained(source)
        if config.model_type not in FAMILIES:
            raise EngineFailed(
                f"{name} is a {config.model_type} model. The sandbox runs those of the types {', '.join(FAMILIES)}, "
                "such as llava-hf/llava-1.5-7b-hf; set SANDBOX_MODEL to one."
            )
        if not hasattr(config.vision_config, "image_size") or config.vision_config.model_type == "pixtral":
            raise EngineFailed(
                f"{name} has a vision tower of type {config.vision_config.model_type}. The sandbox runs towers with "
                "square pictures, such as CLIP and SigLIP; set SANDBOX_MODEL to a model with one."
            )
        processor = load_processor(source, config)
        progress(f"Reading the weights of {label}")
        model = AutoModelForImageTextToText.from_pretrained(
            source, dtype=placement.dtype, attn_implementation=placement.attention, use_safetensors=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise EngineFailed(
            f"The model {name} can't be loaded ({_first_line(error)}). Check SANDBOX_MODEL, and the connection if it "
            "is a hub id."
        ) from error
    if getattr(processor, "chat_template", None) is None:
        raise EngineFailed(f"The model {name} has no chat template, so its prompts can't be written.")
    progress(f"Moving {label} to {placement.device}")
    return Checkpoint(label, model.to(placement.device).eval(), processor, placement)


def _is_hub_id(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and all(part and not part.startswith((".", "~")) for part in parts)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
