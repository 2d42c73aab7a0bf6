"""Each stage can be seen, and a function can take its place."""

import numpy as np
import pytest
from PIL import Image

from sandbox import STAGES, BadInput, ImageTooLarge, StageFailed


def test_the_reference_in_every_stages_place_changes_nothing(engine, pictures):
    checkpoint = engine.checkpoint
    from sandbox.stages import encode, generate, merge, preprocess, project, prompt, reduce, select

    def answer(embeddings):
        row = generate.Answer(embeddings, limit=12)
        generate.generate([row], checkpoint)
        return row.tokens

    own = {
        "open": lambda images: [image.convert("RGB") for image in images],
        "preprocess": lambda images: preprocess.preprocess(images, checkpoint.processor.image_processor),
        "encode": lambda pixels: encode.encode(pixels, checkpoint, -2),
        "select": lambda hidden: select.select(hidden, "default"),
        "reduce": reduce.reduce,
        "project": lambda features: project.project(features, checkpoint),
        "prompt": lambda text, counts: prompt.prompt(text, counts, checkpoint),
        "merge": lambda ids, embeddings, features: merge.merge(ids, embeddings, features, checkpoint.image_token),
        "generate": answer,
    }
    assert tuple(own) == STAGES
    expected = engine.answer("Which is larger?", pictures[:2], max_new_tokens=12)
    replaced = engine.answer("Which is larger?", pictures[:2], max_new_tokens=12, replace=own)
    assert (replaced.tokens, replaced.text) == (expected.tokens, expected.text)
    assert all(record.replaced for record in replaced.trace.stages)
    assert not any(record.replaced for record in expected.trace.stages)


def test_what_a_function_returns_goes_on_to_the_model(engine, pictures):
    normal = engine.answer("What?", pictures[:1], max_new_tokens=12)
    blind = engine.answer(
        "What?",
        pictures[:1],
        max_new_tokens=12,
        replace={"preprocess": lambda images: np.zeros((1, 3, 28, 28), "float32")},
    )
    assert blind.tokens != normal.tokens
    assert blind.trace.stage("preprocess").output.maximum == 0


def test_a_picture_of_another_resolution_is_encoded_on_its_own_grid(engine, pictures):
    def twice(images):
        return engine.checkpoint.processor.image_processor(
            images=images, size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}, return_tensors="np"
        )["pixel_values"]

    trace = engine.answer("What?", pictures[:1], max_new_tokens=1, replace={"preprocess": twice}).trace
    assert trace.patch_grid == (8, 8)
    assert trace.image_tokens == 64


@pytest.mark.parametrize(
    ("stage", "function", "sentence"),
    [
        ("open", lambda images: images[:0], "must return a list of 1 pictures"),
        ("open", lambda images: [image.convert("L") for image in images], "in mode RGB"),
        ("preprocess", lambda images: [[1.0]], "must return a numpy array; it returned a list of 1"),
        ("preprocess", lambda images: np.zeros((1, 28, 28, 3), "float32"), r"shape \(1, 3, any, any\)"),
        ("preprocess", lambda images: np.zeros((1, 3, 28, 28), "uint8"), "must return floats; it returned uint8"),
        ("preprocess", lambda images: np.full((1, 3, 28, 28), np.nan), "NaN or infinite"),
        ("preprocess", lambda images: np.zeros((1, 3, 30, 28), "float32"), "can't be cut into patches of 7 x 7"),
        ("encode", lambda pixels: np.zeros((2, 17, 32)), r"shape \(1, any, any\)"),
        ("select", lambda hidden: hidden[:, :0], r"shape \(1, any, any\)"),
        ("reduce", lambda features: [], "one array for each of 1 pictures"),
        ("reduce", lambda features: [rows[:, :5] for rows in features], "takes features of width 32; these have 5"),
        ("project", lambda features: features, r"shape \(any, 48\)"),
        ("prompt", lambda text, counts: "USER", "sequence of token ids"),
        ("prompt", lambda text, counts: [10**6], "ids from 0 to"),
        ("prompt", lambda text, counts: [0, 2, 2, 5], "2 image tokens for 16 rows of image features"),
        ("merge", lambda ids, embeddings, features: embeddings[1:], r"must return an array of shape \(\d+, 48\)"),
        ("generate", lambda embeddings: [-1], "list of token ids"),
        ("select", lambda hidden: 1 / 0, "'select' failed: ZeroDivisionError"),
    ],
)
def test_a_function_that_breaks_the_contract_is_named_with_its_stage(engine, pictures, stage, function, sentence):
    with pytest.raises(StageFailed, match=sentence):
        engine.answer("What?", pictures[:1], max_new_tokens=1, replace={stage: function})


def test_a_function_may_refuse_bad_input_itself(engine, pictures):
    def refuse(images):
        raise ImageTooLarge("too large for me")

    with pytest.raises(ImageTooLarge, match="too large for me"):
        engine.answer("What?", pictures[:1], replace={"open": refuse})


def test_read_only_and_strided_arrays_are_taken(engine, pictures):
    def views(images):
        pixels = engine.checkpoint.processor.image_processor(images=images, return_tensors="np")["pixel_values"]
        view = np.asarray(pixels, np.float64)[:, ::-1][:, ::-1]
        view.flags.writeable = False
        return view

    expected = engine.answer("What?", pictures[:1], max_new_tokens=8)
    assert (
        engine.answer("What?", pictures[:1], max_new_tokens=8, replace={"preprocess": views}).tokens == expected.tokens
    )


def test_without_pictures_the_stages_that_look_are_passed_over(engine):
    called = []
    reply = engine.answer("What?", max_new_tokens=2, replace={"preprocess": lambda images: called.append(images)})
    assert not called
    assert [record.note for record in reply.trace.stages][:6] == ["no pictures"] * 6
    assert reply.trace.image_tokens == 0


def test_pictures_may_be_bytes_paths_or_open(engine, pictures, tmp_path):
    path = tmp_path / "picture.png"
    pictures[0].save(path)
    answers = {
        engine.answer("What?", [source], max_new_tokens=8).tokens for source in (pictures[0], path, path.read_bytes())
    }
    assert len(answers) == 1


def test_extreme_but_allowed_pictures_are_answered(engine):
    for size in [(1, 1), (100, 1), (3, 300)]:
        assert engine.answer("What?", [Image.new("RGB", size)], max_new_tokens=1).trace.image_tokens == 16


def test_bad_input_has_a_sentence_of_its_own():
    assert all(error.__doc__ for error in BadInput.__subclasses__())
