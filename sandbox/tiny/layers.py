"""The same network as transformers', written for speed on a CPU.

The weights live in transformers' own modules; only the forward pass is written anew: fused query, key and value
products, one compiled graph a layer, and attention masks for packed questions. A test holds it to transformers'
result. On two cores this is what makes training take an hour instead of a day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Normalisation of OpenAI's CLIP, which LLaVA-1.5 uses."""

Layer = Callable[..., Tensor]


def normalize(pixels: Tensor) -> Tensor:
    """Pixels as uint8 (n, h, w, 3) to normalised float32 (n, 3, h, w)."""
    mean = torch.tensor(CLIP_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(CLIP_STD).view(1, 3, 1, 1)
    return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std


def _clip_layer(
    x: Tensor, bias: Tensor | None, norm1: Tensor, norm1_bias: Tensor, qkv: Tensor, qkv_bias: Tensor, out: Tensor,
    out_bias: Tensor, norm2: Tensor, norm2_bias: Tensor, up: Tensor, up_bias: Tensor, down: Tensor, down_bias: Tensor,
    heads: int,
) -> Tensor:  # fmt: skip
    batch, length, width = x.shape
    size = width // heads
    h = F.layer_norm(x, (width,), norm1, norm1_bias, 1e-5)
    q, k, v = F.linear(h, qkv, qkv_bias).view(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
    scores = torch.matmul(q * size**-0.5, k.transpose(-1, -2)).float()
    if bias is not None:
        scores = scores + bias
    mixed = torch.matmul(torch.softmax(scores, -1).to(x.dtype), v).transpose(1, 2).reshape(batch, length, width)
    x = x + F.linear(mixed, out, out_bias)
    h = F.layer_norm(x, (width,), norm2, norm2_bias, 1e-5)
    return x + F.linear(F.gelu(F.linear(h, up, up_bias), approximate="tanh"), down, down_bias)


def _rms(x: Tensor, weight: Tensor) -> Tensor:
    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype) * weight


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.float().chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


def _llama_layer(
    x: Tensor, bias: Tensor, cos: Tensor, sin: Tensor, norm1: Tensor, qkv: Tensor, out: Tensor, norm2: Tensor,
    gate_up: Tensor, down: Tensor, heads: int,
) -> Tensor:  # fmt: skip
    batch, length, width = x.shape
    size = width // heads
    q, k, v = F.linear(_rms(x, norm1), qkv).view(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
    q = _rotate(q, cos, sin) * size**-0.5
    k = _rotate(k, cos, sin)
    scores = torch.matmul(q, k.transpose(-1, -2)).float() + bias
    mixed = torch.matmul(torch.softmax(scores, -1).to(x.dtype), v).transpose(1, 2).reshape(batch, length, width)
    x = x + F.linear(mixed, out)
    gate, up = F.linear(_rms(x, norm2), gate_up).chunk(2, -1)
    return x + F.linear(F.silu(gate) * up, down)


class Network:
    """Forward passes over transformers' modules.

    Args:
        compiled: Compile each layer once a shape (a minute at the start); False runs the same code eagerly.
    """

    def __init__(self, *, compiled: bool) -> None:
        self._clip_layer: Layer = _clip_layer
        self._llama_layer: Layer = _llama_layer
        if compiled:
            torch._dynamo.config.cache_size_limit = 64
            self._clip_layer = torch.compile(_clip_layer, dynamic=False)
            self._llama_layer = torch.compile(_llama_layer, dynamic=False)

    def embed_patches(self, tower: Any, pixels: Tensor) -> Tensor:
        """Normalised pixels (n, 3, h, w) to the input of the first layer (n, 1 + patches, width)."""
        weight = tower.embeddings.patch_embedding.weight
        width, _, patch, _ = weight.shape
        number, _, height, _ = pixels.shape
        grid = height // patch
        flat = pixels.view(number, 3, grid, patch, grid, patch).permute(0, 2, 4, 1, 3, 5)
        x = F.linear(flat.reshape(number, grid * grid, 3 * patch * patch), weight.reshape(width, -1))
        cls = tower.embeddings.class_embedding.expand(number, 1, -1)
        x = torch.cat([cls, x], 1) + tower.embeddings.position_embedding.weight
        return F.layer_norm(x, (width,), tower.pre_layrnorm.weight, tower.pre_layrnorm.bias, 1e-5)

    def clip_layers(self, layers: Iterable[Any], x: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
        """CLIP encoder layers; `bias` is added to the attention scores."""
        for layer in layers:
            a, m = layer.self_attn, layer.mlp
            x = self._clip_layer(
                x,
                bias,
                layer.layer_norm1.weight,
                layer.layer_norm1.bias,
                torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight]),
                torch.cat([a.q_proj.bias, a.k_proj.bias, a.v_proj.bias]),
                a.out_proj.weight,
                a.out_proj.bias,
                layer.layer_norm2.weight,
                layer.layer_norm2.bias,
                m.fc1.weight,
                m.fc1.bias,
                m.fc2.weight,
                m.fc2.bias,
                heads,
            )
        return x

    def select(self, tower: Any, pixels: Tensor, heads: int) -> Tensor:
        """Hidden state -2 of the vision tower with the class token, (n, 1 + patches, width)."""
        return self.clip_layers(tower.encoder.layers[:-1], self.embed_patches(tower, pixels), heads)

    def project(self, projector: nn.Module, features: Tensor) -> Tensor:
        """LLaVA's two-layer projector."""
        hidden = F.gelu(projector.linear_1(features), approximate="tanh")
        return projector.linear_2(hidden)

    def language(self, model: Any, x: Tensor, bias: Tensor, positions: Tensor, heads: int) -> Tensor:
        """Llama layers and the last norm; `bias` is (rows, 1, length, length), `positions` (rows, length)."""
        size = x.shape[-1] // heads
        frequencies = 1.0 / (10000 ** (torch.arange(0, size, 2).float() / size))
        angles = positions[:, None, :, None].float() * frequencies
        cos, sin = angles.cos(), angles.sin()
        for layer in model.layers:
            a, m = layer.self_attn, layer.mlp
            x = self._llama_layer(
                x,
                bias,
                cos,
                sin,
                layer.input_layernorm.weight,
                torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight]),
                a.o_proj.weight,
                layer.post_attention_layernorm.weight,
                torch.cat([m.gate_proj.weight, m.up_proj.weight]),
                m.down_proj.weight,
                heads,
            )
        return _rms(x, model.norm.weight)


def packed_bias(segments: Tensor) -> Tensor:
    """Additive attention mask (rows, 1, length, length): earlier tokens of segment 0 and of the own segment."""
    length = segments.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool).tril()
    seen = earlier & ((segments[:, None, :] == 0) | (segments[:, None, :] == segments[:, :, None]))
    return torch.zeros(seen.shape).masked_fill_(~seen, -1e9)[:, None]
