"""Runs the vision tower."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sandbox.checkpoint import Checkpoint, to_array
from sandbox.errors import BadOption, StageFailed
from sandbox.programs import Programs
from sandbox.stages.contract import expect_floats


@torch.inference_mode()
def encode(
    pixels: np.ndarray,
    checkpoint: Checkpoint,
    layer: int | list[int],
    group: int = 1,
    programs: Programs | None = None,
) -> np.ndarray:
    """Return the vision tower's hidden states at a layer.

    Sizes other than the tower's own are taken too; its position embeddings are then interpolated.

    Args:
        pixels: float32 (T, 3, H, W), normalised, one for each tile; H and W are multiples of the patch.
        checkpoint: The model.
        layer: 0 is the embeddings, i what layer i gives out, negative ones count from the end; a list puts several
            side by side, as in VipLLaVA.
        group: Pictures that are computed together. Their numbers may then differ in the last bits from those of each
            alone, unless a check on this machine says otherwise.
        programs: If compiled, they show pictures of the tower's own size to it one by one, at the model's own layer.

    Returns:
        float32 (T, t, d); t counts the class token, which comes first in towers that have one.

    Raises:
        BadOption: The tower has no such layer.
        StageFailed: The picture isn't a multiple of the patch.
    """
    layers = [layer] if isinstance(layer, int) else list(layer)
    for index in layers:
        if not -checkpoint.vision_layers - 1 <= index <= checkpoint.vision_layers:
            raise BadOption(
                f"The vision tower has layers 0 to {checkpoint.vision_layers}, or -1 to "
                f"{-checkpoint.vision_layers - 1} from the end; {index} was given."
            )
    height, width = pixels.shape[2:]
    patch = checkpoint.patch_size
    if height % patch or width % patch:
        raise StageFailed(f"Pixels of {width} x {height} can't be cut into patches of {patch} x {patch}.")
    size = checkpoint.model.config.vision_config.image_size
    resized = {} if (height, width) == (size, size) else {"interpolate_pos_encoding": True}
    parts = []
    if programs and programs.compiled and not resized and layer == checkpoint.feature_layer:
        parts = [to_array(programs.tower(checkpoint.tensor(each[None]))[0]) for each in pixels]
        return np.concatenate(parts)
    for start in range(0, len(pixels), group):
        inputs = checkpoint.tensor(pixels[start : start + group])
        outputs = checkpoint.model.model.vision_tower(inputs, output_hidden_states=layers, **resized)
        parts.append(to_array(torch.cat([outputs.hidden_states[index] for index in layers], dim=-1)))
    return np.concatenate(parts)


def accept(value: Any, count: int) -> np.ndarray:
    """Check what a function in this stage's place returned: floats (count, t, d)."""
    return expect_floats("encode", value, count, None, None)
