"""How many tokens and tiles a picture takes is known from its size: the numbers of the published checkpoints."""

import pytest
from random_llava import random_tokenizer
from transformers import (
    CLIPImageProcessorPil,
    LlavaConfig,
    LlavaNextConfig,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionImageProcessorPil,
    LlavaProcessor,
)

from sandbox.processor import OnevisionPictureProcessor
from sandbox.tiles import layouts

NEXT = [  # width, height, tiles with the overview, tokens; LLaVA-v1.6 with CLIP ViT-L/14 at 336 pixels
    (336, 336, 3, 1176),
    (640, 480, 5, 2340),
    (672, 672, 5, 2928),
    (1024, 768, 5, 2340),
    (1000, 300, 4, 2182),
    (1920, 1080, 5, 1948),
    (1080, 1920, 5, 1968),
    (3840, 2160, 5, 1948),
    (4096, 4096, 5, 2928),
]
ONEVISION = [  # LLaVA-OneVision with SigLIP SO400M/14 at 384 pixels and anyres_max_9
    (640, 480, 5, 2929),
    (1024, 768, 7, 4725),
    (1920, 1080, 16, 7269),
    (3840, 2160, 25, 7317),
    (4096, 4096, 37, 7371),
]


@pytest.fixture(scope="module")
def tokenizer():
    return random_tokenizer()


@pytest.mark.parametrize(("width", "height", "tiles", "tokens"), NEXT)
def test_llava_next_takes_at_most_five_tiles(tokenizer, width, height, tiles, tokens):
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}
        ),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    (layout,) = layouts([(width, height)], LlavaNextConfig(), processor)
    assert (layout.tiles, layout.tokens, layout.base) == (tiles, tokens, 576)


@pytest.mark.parametrize(("width", "height", "tiles", "tokens"), ONEVISION)
def test_llava_onevision_has_a_cap_on_tokens_but_not_on_tiles(tokenizer, width, height, tiles, tokens):
    (layout,) = layouts([(width, height)], onevision_config(), onevision_processor(tokenizer))
    assert (layout.tiles, layout.tokens, layout.base) == (tiles, tokens, 729)


def test_several_pictures_of_llava_onevision_are_one_square_each(tokenizer):
    both = layouts([(4096, 4096), (640, 480)], onevision_config(), onevision_processor(tokenizer))
    assert [(layout.tiles, layout.tokens) for layout in both] == [(1, 730), (1, 730)]


@pytest.mark.parametrize("size", [(336, 336), (4096, 4096), (1, 90)])
def test_llava_takes_576_tokens_whatever_the_size(tokenizer, size):
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    (layout,) = layouts([size], LlavaConfig(), processor)
    assert (layout.tiles, layout.tokens) == (1, 576)


def onevision_config():
    pinpoints = LlavaOnevisionImageProcessorPil.image_grid_pinpoints
    return LlavaOnevisionConfig(image_grid_pinpoints=pinpoints)


def onevision_processor(tokenizer):
    return OnevisionPictureProcessor(
        image_processor=LlavaOnevisionImageProcessorPil(),
        tokenizer=tokenizer,
        num_image_tokens=729,
        vision_feature_select_strategy="full",
    )
