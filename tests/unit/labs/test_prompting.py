import csv
import io
from itertools import islice

import pytest
from PIL import Image

from sandbox import SandboxSettings, load_engine
from sandbox.labs import prompting
from sandbox.labs.prompting import BadTable, Case, answers, example, summarize, to_csv


@pytest.fixture(scope="module")
def engine():
    engine = load_engine(settings=SandboxSettings(_env_file=None, sandbox_device="cpu"))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def table(engine):
    cases, prompts = example()
    return cases, prompts, list(answers(engine.answer, cases, prompts))


def test_the_example_shows_that_the_prompt_decides(table):
    cases, prompts, cells = table
    summaries = summarize(cells)
    assert len(cells) == len(cases) * len(prompts)
    assert summaries[0].score > 0.8
    assert summaries[-1].score == 0, "a caption is no answer to the question"


def test_the_question_stands_where_the_prompt_says(table):
    cases, _, cells = table
    assert cells[0].asked == cases[0].question
    assert cells[-1].asked == "Describe the image."


def test_cells_come_one_by_one_prompt_by_prompt(engine):
    cases, prompts = example(count=2)
    coming = answers(engine.answer, cases, prompts)
    assert [(cell.prompt, cell.case) for cell in islice(coming, 3)] == [(0, 0), (0, 1), (1, 0)]


def test_the_table_can_be_taken_away_and_no_cell_becomes_a_formula(table):
    cases, prompts, cells = table
    bad = [*cases[:-1], Case(cases[-1].picture, "=cmd()", "@x")]
    rows = list(csv.DictReader(io.StringIO(to_csv(cells, bad, prompts))))
    assert len(rows) == len(cells)
    assert rows[len(cases) - 1]["question"] == "'=cmd()"
    assert float(rows[0]["score"]) in (0, 1)


@pytest.mark.parametrize(
    ("given", "expected", "score"),
    [("The red.", "red", 1), ("Red circle", "red", 0), ("", "red", 0), ("an oval", "Oval", 1)],
)
def test_exact_passes_over_case_articles_and_marks(given, expected, score):
    assert prompting.exact(given, expected) == score


def test_word_overlap_is_the_f1_of_words():
    assert prompting.word_overlap("a red circle", "red circle") == 1
    assert prompting.word_overlap("red circle", "red square") == 0.5
    assert prompting.word_overlap("blue", "red square") == 0


def test_character_accuracy_counts_edits():
    assert prompting.character_accuracy("CAT", "CAT") == 1
    assert prompting.character_accuracy("CAR", "CAT") == pytest.approx(2 / 3)
    assert prompting.edit_distance("kitten", "sitting") == 3


@pytest.mark.parametrize(
    ("cases", "prompts", "says"),
    [
        ([], ["x"], "no pictures"),
        ([Case(Image.new("RGB", (8, 8)), "q", "a")], [], "no prompt"),
        ([Case(Image.new("RGB", (8, 8)), "q", " ")], ["x"], "no expected answer"),
        ([Case(Image.new("RGB", (8, 8)), "q", "a")] * 201, ["x", "y"], "402 answers"),
    ],
)
def test_a_table_that_cannot_be_run_says_why(cases, prompts, says):
    with pytest.raises(BadTable, match=says):
        prompting.check(cases, prompts)
