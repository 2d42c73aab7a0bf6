"""A trace says what every stage took, gave and cost, and can be stored."""

import json

import numpy as np
import pytest
from PIL import Image

from sandbox import STAGES, ArraySummary


@pytest.fixture(scope="module")
def trace(engine, pictures):
    return engine.answer("Which is larger?", pictures[:2], max_new_tokens=6, cache=False).trace


def test_every_stage_is_written_down_in_order(trace):
    assert tuple(record.name for record in trace.stages) == STAGES
    assert all(record.seconds > 0 for record in trace.stages)


def test_shapes_follow_the_pictures_through_the_stages(trace):
    shapes = {record.name: record.output.shape for record in trace.stages}
    length = trace.prompt_tokens
    assert shapes == {
        "open": (2,),
        "preprocess": (2, 3, 28, 28),
        "encode": (2, 17, 32),
        "select": (2, 16, 32),
        "reduce": (2, 16, 32),
        "project": (2, 16, 48),
        "prompt": (length,),
        "merge": (length, 48),
        "generate": (6,),
    }


def test_tokens_are_counted_by_kind(trace):
    assert trace.image_tokens == 32
    assert trace.prompt_tokens == sum(segment.count for segment in trace.tokens) > 32
    assert trace.new_tokens == len(trace.answer_pieces) == len(trace.token_seconds) == 6


def test_times_add_up(trace):
    assert sum(record.seconds for record in trace.stages) <= trace.seconds
    assert trace.first_token_seconds < trace.seconds
    assert trace.tokens_per_second == pytest.approx(5 / sum(trace.token_seconds[1:]))


def test_a_summary_can_be_stored_as_json(trace):
    stored = json.loads(json.dumps(trace.summary(), allow_nan=False))
    assert [record["name"] for record in stored["stages"]] == list(STAGES)
    assert stored["tokens"][1] == {"kind": "image", "start": trace.tokens[0].count, "count": 16, "image": 0}
    assert stored["patch_grid"] == [4, 4]


def test_the_processed_picture_is_what_the_tower_saw(engine):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8))
    trace = engine.answer("What?", [picture], max_new_tokens=1).trace
    assert trace.processed_image().tobytes() == picture.tobytes()
    assert trace.patch_grid == (4, 4)


def test_there_is_no_processed_picture_beyond_the_last(trace, engine):
    with pytest.raises(IndexError):
        trace.processed_image(2)
    with pytest.raises(IndexError):
        engine.answer("What?", max_new_tokens=1).trace.processed_image()


@pytest.mark.parametrize(
    ("value", "summary"),
    [
        (np.array([[1.0, 3.0]], np.float32), ArraySummary((1, 2), "float32", 1.0, 3.0, 2.0)),
        ([np.zeros((2, 3)), np.ones((2, 3))], ArraySummary((2, 2, 3), "float64", 0.0, 1.0, 0.5)),
        ([np.zeros((1, 3)), np.ones((3, 3))], ArraySummary((4, 3), "float64", 0.0, 1.0, 0.75)),
        ([4, 6], ArraySummary((2,), "int64", 4.0, 6.0, 5.0)),
        ([Image.new("L", (2, 2))], ArraySummary((1,), "L")),
        ("why", ArraySummary((3,), "characters")),
        ([], ArraySummary((0,), "nothing")),
        (np.zeros((0, 3)), ArraySummary((0, 3), "float64")),
    ],
)
def test_a_summary_gives_shape_and_range(value, summary):
    assert ArraySummary.of(value) == summary


def test_what_the_stages_gave_out_is_kept_on_demand(engine, pictures):
    trace = engine.answer("Which is larger?", pictures[:2], max_new_tokens=6, keep=True).trace
    assert tuple(trace.arrays) == STAGES
    for name in STAGES[1:]:
        output = trace.arrays[name]
        assert ArraySummary.of(output) == trace.stage(name).output, name
    assert [array.shape for array in trace.arrays["open"]] == [(90, 60, 3), (85, 77, 3)]
    assert "arrays" not in trace.summary()


def test_nothing_is_kept_unless_asked_for(trace):
    assert not trace.arrays


def test_stages_that_were_passed_over_keep_nothing(engine):
    assert tuple(engine.answer("Why?", max_new_tokens=2, keep=True).trace.arrays) == ("prompt", "merge", "generate")
