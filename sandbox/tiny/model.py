"""The architecture and its initial weights: LLaVA-1.5 in small, and a CLIP around the same vision tower."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from sandbox.tiny.labels import PATCH_CLASSES, PICTURE_CLASSES
from sandbox.tiny.packing import TEXT_LENGTH
from sandbox.tiny.scene import PICTURE_SIZE
from sandbox.tiny.vocabulary import BOS, EOS, IMAGE, PAD

if TYPE_CHECKING:
    from transformers import CLIPModel, LlavaForConditionalGeneration

VISION_WIDTH, VISION_LAYERS, VISION_HEADS = 128, 6, 4
LANGUAGE_WIDTH, LANGUAGE_LAYERS, LANGUAGE_HEADS = 192, 6, 6
TEXT_LAYERS = 3
HEAD_SIZES = [*PATCH_CLASSES.values(), 2, *PICTURE_CLASSES.values()]
"""Outputs of the dense heads at each patch: patch classes, the centre's offset (x, y), picture classes."""

_ACTIVATION = "gelu_pytorch_tanh"  # the form that ggml computes, so that a GGUF conversion can match exactly
_LAST_LAYER_GAIN = 10.0  # of its outputs, which then outweigh the trunk's


def build_llava(vocabulary: int) -> LlavaForConditionalGeneration:
    """An untrained LLaVA: 112 px, patch 14, features of layer -2 without the class token."""
    from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    text = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=LANGUAGE_WIDTH,
        intermediate_size=512,
        num_hidden_layers=LANGUAGE_LAYERS,
        num_attention_heads=LANGUAGE_HEADS,
        num_key_value_heads=LANGUAGE_HEADS,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        rms_norm_eps=1e-6,
    )
    config = LlavaConfig(
        vision_config=_vision_config(),
        text_config=text,
        image_token_index=IMAGE,
        image_seq_length=64,
        tie_word_embeddings=True,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        projector_hidden_act=_ACTIVATION,
    )
    return LlavaForConditionalGeneration(config)


def build_clip(vocabulary: int) -> CLIPModel:
    """An untrained CLIP with the same vision tower and a three-layer text tower."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig

    text = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=VISION_WIDTH,
        intermediate_size=4 * VISION_WIDTH,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=VISION_HEADS,
        max_position_embeddings=TEXT_LENGTH,
        hidden_act=_ACTIVATION,
        projection_dim=VISION_WIDTH,
        bos_token_id=BOS,
        eos_token_id=PAD,  # 2 would make transformers pool at the largest id instead of the first end token
        pad_token_id=PAD,
    )
    config = CLIPConfig(
        text_config=text.to_dict(), vision_config=_vision_config().to_dict(), projection_dim=VISION_WIDTH
    )
    return CLIPModel(config)


def _vision_config():  # type: ignore[no-untyped-def]
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=VISION_WIDTH,
        intermediate_size=4 * VISION_WIDTH,
        num_hidden_layers=VISION_LAYERS,
        num_attention_heads=VISION_HEADS,
        image_size=PICTURE_SIZE,
        patch_size=14,
        hidden_act=_ACTIVATION,
        projection_dim=VISION_WIDTH,
    )


class Trainee(nn.Module):
    """Everything that is trained: the LLaVA, the CLIP that shares its vision tower, and the dense heads."""

    def __init__(self, vocabulary: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.llava = build_llava(vocabulary)
        self.clip = build_clip(vocabulary)
        self.clip.vision_model = self.tower
        self.heads = nn.Linear(VISION_WIDTH, sum(HEAD_SIZES))
        self._initialize()

    @property
    def tower(self) -> nn.Module:
        """The shared vision tower."""
        return self.llava.model.vision_tower

    @property
    def language(self) -> nn.Module:
        """The language model without its output layer."""
        return self.llava.model.language_model

    @property
    def projector(self) -> nn.Module:
        """LLaVA's projector."""
        return self.llava.model.multi_modal_projector

    def _initialize(self) -> None:
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.ndim < 2:
                    continue
                if "vision_tower" in name and "position_embedding" in name:
                    weight.copy_(_grid_waves(PICTURE_SIZE // 14, VISION_WIDTH))
                elif "position_embedding" in name:
                    weight.normal_(0, 0.02)
                elif "embed" in name and weight.ndim == 2:
                    weight.normal_(0, 0.03)
                else:
                    fan_in = weight[0].numel()
                    scale = fan_in**-0.5
                    if "language_model" in name and ("o_proj" in name or "down_proj" in name):
                        scale /= math.sqrt(2 * LANGUAGE_LAYERS)
                    elif "vision_tower" in name and ("out_proj" in name or "fc2" in name):
                        # The last layer serves CLIP only. A large one makes feature layer -1 differ from -2, so that
                        # reading the wrong layer shows in the answers.
                        last = f"layers.{VISION_LAYERS - 1}." in name
                        scale *= _LAST_LAYER_GAIN if last else 1 / math.sqrt(2 * VISION_LAYERS)
                    elif "text_model" in name and ("out_proj" in name or "fc2" in name):
                        scale /= math.sqrt(2 * TEXT_LAYERS)
                    weight.normal_(0, scale)
            self.clip.logit_scale.fill_(math.log(10.0))


def _grid_waves(grid: int, width: int) -> torch.Tensor:
    """Sines and cosines of row and column, (1 + grid * grid, width), zero for the class token.

    Vision transformers learn sooner from these than from noise (Beyer et al. 2022, "Better plain ViT baselines").
    """
    frequencies = 1.0 / 100 ** (torch.arange(width // 4) / (width // 4))
    rows, columns = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    angles = [axis.reshape(-1, 1) * frequencies for axis in (rows, columns)]
    waves = torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], 1)
    return torch.cat([torch.zeros(1, width), waves])


def is_last_vision_layer(name: str) -> bool:
    """Whether a weight lies behind feature layer -2, where only CLIP reads."""
    return f"vision_tower.encoder.layers.{VISION_LAYERS - 1}." in name or "vision_tower.post_layernorm" in name
