"""A LLaVA checkpoint in memory: its weights, its processor, and the few facts that the stages need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, BitsAndBytesConfig
from transformers.utils import logging

from sandbox.device import Placement
from sandbox.errors import EngineFailed
from sandbox.hub import count_hub_weights, fetch, is_hub_id
from sandbox.memory import count_weights, ensure_fits, estimate, size_words
from sandbox.processor import load_processor
from sandbox.settings import SandboxSettings
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


def load_checkpoint(
    name: str, placement: Placement, progress: Callable[[str], None], settings: SandboxSettings
) -> Checkpoint:
    """Load a checkpoint from a folder or the Hugging Face Hub.

    Weights are read from safetensors only, and no code of a checkpoint is ever run. What can't run here is refused
    before its weights are fetched, and what doesn't fit into memory before they are read.

    Args:
        name: A folder, or a hub id.
        placement: Where to put it.
        progress: Told what is being done, for people.
        settings: How many bits a weight gets, and the size of the KV cache that must have room beside the weights.

    Raises:
        EngineFailed: There is nothing of that name, it is of no family that runs here, it can't be read, or it doesn't
            fit.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir() and not is_hub_id(name):
        raise EngineFailed(f"There is no model at {name}. Set SANDBOX_MODEL to a folder or a hub id.")
    quantization = quantized(placement, settings.sandbox_quantize) if settings.sandbox_quantize else None
    label = folder.name if folder.is_dir() else name
    logging.disable_progress_bar()
    try:
        progress(f"Reading the settings of {label}")
        config = AutoConfig.from_pretrained(str(folder) if folder.is_dir() else name)
        refuse_others(name, config)
        if not folder.is_dir():
            if weights := count_hub_weights(name):
                ensure_fits(label, estimate(weights, config, placement, settings), placement, settings)
            progress(f"Looking for {label} on the Hugging Face Hub")
            folder = fetch(name, progress)
        need = estimate(count_weights(folder), config, placement, settings)
        ensure_fits(label, need, placement, settings)
        processor = load_processor(str(folder), config)
        progress(f"Reading the weights of {label}, {size_words(need.weights)} in memory")
        model = AutoModelForImageTextToText.from_pretrained(
            str(folder),
            dtype=placement.dtype,
            attn_implementation=placement.attention,
            use_safetensors=True,
            **({"quantization_config": quantization, "device_map": {"": placement.device}} if quantization else {}),
        )
    except (OSError, ValueError, KeyError) as error:
        raise EngineFailed(
            f"The model {name} can't be loaded ({_first_line(error)}). Check SANDBOX_MODEL, and the connection if it "
            "is a hub id."
        ) from error
    if getattr(processor, "chat_template", None) is None:
        raise EngineFailed(f"The model {name} has no chat template, so its prompts can't be written.")
    if not quantization:
        progress(f"Moving {label} to {placement.device}")
        model = model.to(placement.device)
    return Checkpoint(label, model.eval(), processor, placement)


def refuse_others(name: str, config: Any) -> None:
    """Refuse models that can't run here, by their settings: EngineFailed says why."""
    text = getattr(config, "text_config", None)
    if "mrope_section" in (getattr(text, "rope_parameters", None) or {}):
        raise EngineFailed(
            f"{name} is a {config.model_type} model, whose positions run along time, height and width (M-RoPE). The "
            f"sandbox runs models with one position for each token: those of the types {', '.join(FAMILIES)}."
        )
    if config.model_type not in FAMILIES:
        raise EngineFailed(
            f"{name} is a {config.model_type} model. The sandbox runs those of the types {', '.join(FAMILIES)}, such "
            "as llava-hf/llava-1.5-7b-hf; set SANDBOX_MODEL to one."
        )
    vision = config.vision_config
    if not hasattr(vision, "image_size") or vision.model_type == "pixtral":
        raise EngineFailed(
            f"{name} has a vision tower of type {vision.model_type}. The sandbox runs towers with square pictures, "
            "such as CLIP and SigLIP; set SANDBOX_MODEL to a model with one."
        )


def quantized(placement: Placement, quantize: str) -> Any:
    """Return how bitsandbytes holds the language model's weights: NF4 in blocks of 64, computed in the usual format.

    Raises:
        EngineFailed: There is no CUDA device, or bitsandbytes isn't installed.
    """
    if not placement.device.startswith("cuda"):
        raise EngineFailed(
            f"SANDBOX_QUANTIZE is {quantize}, which needs a CUDA device; the sandbox runs on {placement.device}. "
            "Leave it empty."
        )
    if not (find_spec("bitsandbytes") and find_spec("accelerate")):
        raise EngineFailed(
            f"SANDBOX_QUANTIZE is {quantize}, but bitsandbytes isn't installed. Install the extra `quantized`, or "
            "leave it empty."
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=placement.dtype,
        llm_int8_skip_modules=["vision_tower", "multi_modal_projector", "lm_head"],
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
