"""Writes trained weights as folders that plain transformers loads: a LLaVA and the CLIP of the same vision tower."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sandbox.tiny.layers import CLIP_MEAN, CLIP_STD
from sandbox.tiny.model import Trainee
from sandbox.tiny.scene import PICTURE_SIZE
from sandbox.tiny.vocabulary import BOS, CHAT_TEMPLATE, EOS, PAD, build_tokenizer

if TYPE_CHECKING:
    from transformers import CLIPImageProcessorPil

LLAVA, CLIP = "tiny-llava", "tiny-clip"
"""Names of the two folders."""

LONGEST_ANSWER = 80
"""Tokens; a caption of five objects and a text takes about 75."""


def export(checkpoint: Path, out_dir: Path) -> tuple[Path, Path]:
    """Write `tiny-llava/` and `tiny-clip/` under `out_dir` as float16 safetensors with their processors.

    Args:
        checkpoint: A checkpoint of `train`, complete or not.
        out_dir: Where the two folders are made.

    Returns:
        The two folders.
    """
    from transformers import CLIPProcessor, GenerationConfig, LlavaProcessor

    tokenizer = build_tokenizer()
    trainee = Trainee(len(tokenizer), seed=0)
    masters = torch.load(checkpoint, weights_only=True, map_location="cpu")["masters"]
    with torch.no_grad():
        for name, weight in trainee.named_parameters():
            weight.copy_(masters[name])
    llava_dir, clip_dir = out_dir / LLAVA, out_dir / CLIP

    llava = trainee.llava.eval()
    llava.generation_config = GenerationConfig(
        bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD, do_sample=False, max_new_tokens=LONGEST_ANSWER
    )
    llava.half().save_pretrained(llava_dir)
    LlavaProcessor(
        image_processor=_image_processor(),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    ).save_pretrained(llava_dir)

    trainee.clip.eval().half().save_pretrained(clip_dir)
    searching = build_tokenizer()
    searching.padding_side = "right"
    CLIPProcessor(image_processor=_image_processor(), tokenizer=searching).save_pretrained(clip_dir)
    for weights in (llava_dir / "model.safetensors", clip_dir / "model.safetensors"):
        weights.chmod(0o644)  # safetensors writes for the owner alone
    return llava_dir, clip_dir


def _image_processor() -> CLIPImageProcessorPil:
    from transformers import CLIPImageProcessorPil

    return CLIPImageProcessorPil(
        size={"shortest_edge": PICTURE_SIZE},
        crop_size={"height": PICTURE_SIZE, "width": PICTURE_SIZE},
        image_mean=list(CLIP_MEAN),
        image_std=list(CLIP_STD),
    )
