"""Preprocessing by choice, held against transformers' own processors, and what a comparison measures."""

import numpy as np
import pytest
from PIL import Image
from transformers.image_utils import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_STANDARD_MEAN,
    IMAGENET_STANDARD_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from sandbox import BadOption, Engine, tiny
from sandbox.labs.compare import Variant, compare, difference
from sandbox.labs.preprocessing import MEANS_AND_STDS, preprocessing

SIZES = [(300, 200), (97, 301), (112, 112), (64, 64), (1, 50)]
SQUARE = {"height": 112, "width": 112}
REFERENCES = {
    "crop": {"size": {"shortest_edge": 112}, "crop_size": SQUARE},
    "squash": {"size": SQUARE, "do_center_crop": False},
    "pad": {"size": {"shortest_edge": 112}, "crop_size": SQUARE, "do_pad": True},
}


def noise(size: tuple[int, int]) -> Image.Image:
    values = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_a_fit_gives_what_transformers_gives(fit: str, size: tuple[int, int]) -> None:
    image = noise(size)
    reference = LlavaImageProcessorPil(**REFERENCES[fit])
    expected = reference(images=[image], return_tensors="np")["pixel_values"]
    got = preprocessing(112, fit, (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))([image])
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("clip", OPENAI_CLIP_MEAN, OPENAI_CLIP_STD),
        ("imagenet", IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD),
        ("half", IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD),
    ],
)
def test_a_normalization_is_the_one_of_its_name(name: str, mean: list[float], std: list[float]) -> None:
    assert MEANS_AND_STDS[name] == (tuple(mean), tuple(std))


def test_without_normalization_values_run_from_0_to_1() -> None:
    image = Image.new("RGB", (10, 10), (0, 255, 51))
    pixels = preprocessing(14, "squash", MEANS_AND_STDS["none"])([image])
    assert pixels.shape == (1, 3, 14, 14)
    np.testing.assert_allclose(pixels[0, :, 0, 0], [0, 1, 0.2])


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    return tiny.draw(tiny.compose("white", [tiny.Placed("star", "gray", "large", 2)]))


def test_equal_settings_differ_nowhere(trained_engine: Engine, scene: Image.Image) -> None:
    same = Variant("What color is the star?")
    found = compare(trained_engine, same, same, [scene])
    assert found.same_answer
    assert found.first_difference is None
    assert [step.stage for step in found.differences][:3] == ["open", "preprocess", "encode"]


def test_the_checkpoints_own_settings_named_aloud_change_no_token(trained_engine: Engine, scene: Image.Image) -> None:
    aloud = Variant("What color is the star?", side=112, fit="crop", normalization="clip", feature_layer=-2)
    found = compare(trained_engine, Variant("What color is the star?"), aloud, [scene])
    pixels = next(step for step in found.differences if step.stage == "preprocess")
    assert pixels.max_abs is not None
    assert pixels.max_abs < 1e-5
    assert found.same_answer


def test_another_normalization_differs_from_preprocess_on(trained_engine: Engine, scene: Image.Image) -> None:
    found = compare(trained_engine, Variant("Describe."), Variant("Describe.", normalization="none"), [scene])
    assert found.first_difference == "preprocess"
    assert all(step.same for step in found.differences if step.stage in ("open", "prompt"))


def test_another_resolution_gives_another_number_of_tokens(trained_engine: Engine, scene: Image.Image) -> None:
    found = compare(trained_engine, Variant("Describe."), Variant("Describe.", side=56), [scene])
    encoded = next(step for step in found.differences if step.stage == "encode")
    assert encoded.shapes == ((1, 65, 128), (1, 17, 128))
    assert (encoded.max_abs, encoded.cosine, encoded.same) == (None, None, False)


def test_another_layer_differs_from_encode_on(trained_engine: Engine, scene: Image.Image) -> None:
    found = compare(trained_engine, Variant("Describe."), Variant("Describe.", feature_layer=-1), [scene])
    assert found.first_difference == "encode"


def test_a_seed_repeats_drawn_answers(trained_engine: Engine, scene: Image.Image) -> None:
    drawn = Variant("Describe.", temperature=1.5, seed=7)
    assert compare(trained_engine, drawn, drawn, [scene]).same_answer


@pytest.mark.parametrize(
    ("variant", "says"),
    [
        (Variant("x", side=100), "multiple of the patch, 14"),
        (Variant("x", side=14_000), "1 to 1344"),
        (Variant("x", fit="stretch"), "no fit"),
        (Variant("x", normalization="batch"), "no normalization"),
    ],
)
def test_a_wrong_setting_is_said_in_words(trained_engine: Engine, variant: Variant, says: str) -> None:
    with pytest.raises(BadOption, match=says):
        variant.request([], trained_engine.checkpoint)


def test_figures_of_a_difference_are_those_of_its_definition() -> None:
    found = difference("project", [np.array([[3.0, 4.0]])], [np.array([[4.0, 3.0]])])
    assert (found.max_abs, found.mean_abs, found.shapes) == (1.0, 1.0, ((1, 1, 2), (1, 1, 2)))
    assert found.cosine == pytest.approx(24 / 25)
    assert difference("generate", np.array([1, 2, 3]), np.array([1, 5, 6])).unequal == 2
