"""Loads a checkpoint's processor: its tokenizer, chat template and image processor, Pillow's in every family."""

from __future__ import annotations

from typing import Any

from transformers import AutoProcessor, LlavaOnevisionProcessor
from transformers.processing_utils import ProcessorMixin

from sandbox.request import PLACEHOLDER


class OnevisionPictureProcessor(LlavaOnevisionProcessor):
    """LLaVA-OneVision's processor without its video part, which needs torchvision; the rest is transformers' own."""

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        num_image_tokens: int | None = None,
        vision_feature_select_strategy: str | None = None,
        chat_template: str | None = None,
        image_token: str = PLACEHOLDER,
        vision_aspect_ratio: str = "anyres_max_9",
        **kwargs: Any,
    ) -> None:
        """Take what `LlavaOnevisionProcessor` takes, without a video processor."""
        self.num_image_tokens = num_image_tokens
        self.vision_feature_select_strategy = vision_feature_select_strategy
        self.vision_aspect_ratio = vision_aspect_ratio
        self.image_token = getattr(tokenizer, "image_token", image_token)
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token, self.video_token_id = None, None
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def load_processor(source: str, config: Any) -> Any:
    """Load the processor of a checkpoint.

    Pillow's image processors are taken since other back ends resample differently. What older checkpoints leave out
    for counting a picture's tokens is filled in from the model's settings.

    Args:
        source: A folder, or a hub id.
        config: The model's settings.
    """
    kind = OnevisionPictureProcessor if config.model_type == "llava_onevision" else AutoProcessor
    processor = kind.from_pretrained(source, backend="pil")
    vision = config.vision_config
    if getattr(processor, "vision_feature_select_strategy", None) is None:
        processor.vision_feature_select_strategy = getattr(config, "vision_feature_select_strategy", "default")
    if config.model_type == "llava_onevision":
        processor.num_image_tokens = processor.num_image_tokens or (vision.image_size // vision.patch_size) ** 2
        processor.vision_aspect_ratio = config.vision_aspect_ratio
    elif getattr(processor, "patch_size", None) is None:
        processor.patch_size = vision.patch_size
        processor.num_additional_image_tokens = int(vision.model_type.startswith("clip"))
    return processor
