"""How much an answer's tokens looked at each token of the prompt, computed again for a finished answer.

The fast attention kernels never write their weights down, so a run keeps none. One pass with transformers' `eager`
attention over the finished answer gives them: only the rows of the answer's tokens are computed, so memory grows with
answer x prompt, not with prompt x prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from sandbox.checkpoint import Checkpoint
from sandbox.errors import BadOption

MAX_BYTES = 256 * 2**20
"""Largest result."""


@torch.inference_mode()
def attention(
    checkpoint: Checkpoint,
    embeddings: np.ndarray,
    tokens: Sequence[int],
    columns: np.ndarray,
    layers: Sequence[int] | None = None,
    last: bool = False,
) -> np.ndarray:
    """Return the attention weights of each answer token, softmax(q k / sqrt(d)) of the step that chose it.

    Args:
        checkpoint: The model.
        embeddings: float32 (L, D), the language model's input.
        tokens: The answer's T >= 1 tokens.
        columns: int (C,), which prompt positions to return.
        layers: Which layers, from 0 or from the end; None is all.
        last: Only the last of the tokens, T = 1.

    Returns:
        float32 (layers, heads, T, C). Row t belongs to the position whose output chose token t: the prompt's last for
        the first one, the token before for the others. A row over all positions up to its own sums to 1.

    Raises:
        BadOption: There is no such layer, or the result would be larger than `MAX_BYTES`.
    """
    language, config = checkpoint.model.model.language_model, checkpoint.model.config.text_config
    chosen = _layers(layers, config.num_hidden_layers)
    count = 1 if last else len(tokens)
    shape = (len(chosen), config.num_attention_heads, count, len(columns))
    if (size := 4 * int(np.prod(shape))) > MAX_BYTES:
        raise BadOption(
            f"Attention of {len(chosen)} layers over {count} x {len(columns)} tokens takes {size / 2**20:.0f} MB;"
            f" at most {MAX_BYTES / 2**20:.0f} MB are given. Choose fewer layers, or a shorter answer."
        )
    weights = np.zeros(shape, np.float32)
    kept = torch.as_tensor(columns, device=checkpoint.placement.device)

    def keep(row: int) -> Any:
        def hook(module: Any, inputs: Any, output: tuple[torch.Tensor, torch.Tensor]) -> None:
            weights[row] = output[1][0, :, -count:].index_select(-1, kept).float().cpu().numpy()

        return hook

    cache = DynamicCache(config=config)
    prompt = checkpoint.tensor(embeddings)[None]
    if prompt.shape[1] > 1:
        language(inputs_embeds=prompt[:, :-1], past_key_values=cache, use_cache=True)
    before = checkpoint.tensor(checkpoint.embed(np.asarray(tokens[:-1], np.int64)))[None]
    hooks = [language.layers[layer].self_attn.register_forward_hook(keep(row)) for row, layer in enumerate(chosen)]
    try:
        with _eager(config):
            language(inputs_embeds=torch.cat([prompt[:, -1:], before], 1), past_key_values=cache, use_cache=True)
    finally:
        for hook in hooks:
            hook.remove()
    return weights


def _layers(layers: Sequence[int] | None, count: int) -> list[int]:
    if layers is None:
        return list(range(count))
    for layer in layers:
        if not -count <= layer < count:
            raise BadOption(f"The language model has layers 0 to {count - 1}; {layer} was given.")
    return [layer % count for layer in layers]


@contextmanager
def _eager(config: Any) -> Iterator[None]:
    """Let the language model compute attention step by step; only for the model's own thread."""
    usual = config._attn_implementation
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = usual
