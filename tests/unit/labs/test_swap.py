"""The candidate's stage in the live pipeline, with the shipped model and the real jail."""

from random import Random

import pytest

from sandbox import BadOption, SandboxSettings, StageFailed, load_engine
from sandbox.jail import Jail
from sandbox.labs.swap import swap
from sandbox.labs.swappable import SELECT, STAGES_TO_SWAP
from sandbox.tiny import draw, sample_scene
from tests.unit.judge import q04, q05, q07, q12

RIGHT = {
    "preprocess": q05.RIGHT,
    "select": SELECT,
    "reduce": q12.RIGHT,
    "prompt": q04.RIGHT,
    "collate": q07.RIGHT,
}
QUESTION = "What color is the background?"


@pytest.fixture(scope="module")
def settings():
    return SandboxSettings(_env_file=None, sandbox_device="cpu", sandbox_compile=False)


@pytest.fixture(scope="module")
def engine(settings):
    engine = load_engine(settings=settings)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def jail(settings):
    jail = Jail(settings)
    if not jail.status.available:
        pytest.skip(jail.status.sentence)
    yield jail
    jail.close()


@pytest.fixture(scope="module")
def picture():
    return draw(sample_scene(Random(7), count=2))


def test_there_is_a_right_solution_here_for_every_stage():
    assert set(RIGHT) == set(STAGES_TO_SWAP)


@pytest.mark.parametrize("stage", ["preprocess", "select", "collate"])
def test_a_right_stage_changes_nothing_that_counts(engine, jail, picture, stage):
    found = swap(engine, jail, stage, RIGHT[stage], QUESTION, [picture])
    assert found.same_answer
    assert found.texts[0] == found.texts[1] != ""
    assert all(one.max_abs is None or one.max_abs < 0.2 for one in found.differences)
    assert found.seconds > 0


def test_half_the_tokens_reach_the_language_model(engine, jail, picture):
    found = swap(engine, jail, "reduce", RIGHT["reduce"], QUESTION, [picture])
    shapes = {one.stage: one.shapes for one in found.differences}
    assert shapes["reduce"][1][-2] * 2 == shapes["reduce"][0][-2]
    assert found.comparison.replies[1].trace.image_tokens * 2 == found.comparison.replies[0].trace.image_tokens


def test_a_built_prompt_takes_the_place_of_the_question(engine, jail, picture):
    source = "def build_prompt(task, question=None):\n    print(task)\n    return '<image>\\nDescribe the image.'"
    found = swap(engine, jail, "prompt", source, QUESTION, [picture])
    assert not found.same_answer
    assert len(found.texts[1]) > len(found.texts[0])
    assert found.prints == "vqa\n"
    assert swap(engine, jail, "prompt", RIGHT["prompt"], QUESTION, [picture]).texts[1] != ""


def test_a_wrong_stage_shows_where_the_tensors_part(engine, jail, picture):
    source = q05.RIGHT.replace("/ 255", "/ 510")
    found = swap(engine, jail, "preprocess", source, QUESTION, [picture])
    assert found.comparison.first_difference == "preprocess"
    assert {one.stage: one for one in found.differences}["preprocess"].max_abs > 0.2


@pytest.mark.parametrize(
    ("stage", "source", "says"),
    [
        ("select", "def select(hidden):\n    return 1 / 0", "select raised ZeroDivisionError"),
        ("select", "def select(hidden):\n    return hidden[:, :3]", "features of width 128; these have 3"),
        ("select", "x =", "could not be loaded: SyntaxError"),
        ("select", "y = 1", "select"),
        ("prompt", "def build_prompt(*_):\n    return 3", "must return text"),
        ("collate", "def collate(requests, **_):\n    return {}", "must return a dict of arrays"),
    ],
)
def test_code_that_fails_says_so_and_the_next_swap_runs(engine, jail, picture, stage, source, says):
    with pytest.raises(StageFailed, match=says):
        swap(engine, jail, stage, source, QUESTION, [picture])
    assert swap(engine, jail, "select", SELECT, QUESTION, [picture]).same_answer


def test_right_padding_is_seen_in_the_mask(engine, jail, picture):
    source = q07.RIGHT.replace("longest - len(ids) :", ": len(ids)")
    if source == q07.RIGHT:
        source += (
            "\n\n_own = collate\n\ndef collate(requests, **settings):\n    batch = _own(requests, **settings)\n"
            "    batch['attention_mask'] = batch['attention_mask'][:, ::-1].copy()\n    return batch\n"
        )
    found = swap(engine, jail, "collate", source, QUESTION, [picture])
    assert not {one.stage: one for one in found.differences}["attention_mask"].same


@pytest.mark.parametrize(("stage", "images"), [("generate", 1), ("select", 0)])
def test_what_cannot_be_swapped_is_said_in_words(engine, jail, picture, stage, images):
    with pytest.raises(BadOption, match="Choose"):
        swap(engine, jail, stage, SELECT, QUESTION, [picture] * images)
