"""Prompts become the tokens that the checkpoint was trained on, or are refused in words."""

import numpy as np
import pytest

from sandbox import ImageCountMismatch, PromptEmpty, PromptTooLong


@pytest.mark.parametrize("prompt", ["", "   \n\t", "<image>", " <image>\n"])
def test_an_empty_prompt_is_refused(engine, pictures, prompt):
    with pytest.raises(PromptEmpty, match="Write what you want to ask"):
        engine.answer(prompt, pictures[:1])


def test_a_very_long_prompt_is_refused(engine):
    with pytest.raises(PromptTooLong, match="8,001 characters; at most 8,000"):
        engine.answer("a" * 8001)


@pytest.mark.parametrize(("prompt", "count"), [("<image> why?", 0), ("<image> and <image>?", 1), ("<image>?", 2)])
def test_placeholders_must_match_the_pictures(engine, pictures, prompt, count):
    with pytest.raises(ImageCountMismatch, match="Write one for each picture, or none"):
        engine.answer(prompt, pictures[:count])


@pytest.mark.parametrize(
    "prompt", ["\ud800 lone surrogate", "null \0 byte", "😀 картина 图", "</s><s><pad>", "{{ 7 * 7 }}"]
)
def test_any_text_can_be_asked(engine, pictures, prompt):
    assert engine.answer(prompt, pictures[:1], max_new_tokens=2).trace.new_tokens > 0


def test_a_template_in_the_prompt_is_text(engine):
    trace = engine.answer("{{ 7 * 7 }}", max_new_tokens=1).trace
    assert "{{ 7 * 7 }}" in "".join(trace.tokens[0].pieces)


def test_pieces_put_together_are_the_prompt(engine, pictures):
    trace = engine.answer("What color is the circle?", pictures[:1], max_new_tokens=1).trace
    before, image, after = trace.tokens
    assert "".join(before.pieces) == "<s>USER: "
    assert "".join(after.pieces) == "\nWhat color is the circle? ASSISTANT:"
    assert (image.kind, image.count, image.start) == ("image", 16, before.count)


def test_neighbouring_pictures_are_told_apart(engine, pictures):
    trace = engine.answer("<image><image> same?", pictures[:2], max_new_tokens=1).trace
    images = [segment for segment in trace.tokens if segment.kind == "image"]
    assert [(segment.image, segment.count) for segment in images] == [(0, 16), (1, 16)]


def test_a_prompt_has_as_many_image_tokens_as_features_come_out_of_reduce(engine, pictures):
    def uneven(features):
        return [rows[: 4 + 3 * index] for index, rows in enumerate(features)]

    trace = engine.answer("Which?", pictures[:3], max_new_tokens=1, replace={"reduce": uneven}).trace
    assert [segment.count for segment in trace.tokens if segment.kind == "image"] == [4, 7, 10]
    assert trace.image_tokens == 21


def test_a_prompt_stage_of_ones_own_is_used(engine, pictures):
    ids = [0, *[2] * 16, 40, 41]
    trace = engine.answer("What?", pictures[:1], max_new_tokens=1, replace={"prompt": lambda text, counts: ids}).trace
    assert [token for segment in trace.tokens for token in segment.ids] == ids
    assert np.isclose(trace.stage("prompt").output.mean, np.mean(ids))
