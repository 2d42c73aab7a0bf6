from pathlib import Path

import pytest

import content
from content.loader import answer_parts
from content.position import line_of


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def problem_of(pack: Path) -> content.BrokenContent:
    with pytest.raises(content.BrokenContent) as caught:
        content.read_catalog([pack])
    return caught.value


def test_adding_a_folder_is_all_a_new_pack_needs(pack: Path) -> None:
    shipped = content.pack_folders()
    catalog = content.read_catalog([*shipped, *content.pack_folders(pack.parent)])
    assert [p.id for p in catalog.packs] == [*(path.name for path in shipped), "tables"]
    assert catalog.questions["t01"].title == "Hash Tables"
    assert set(catalog.questions) == {*content.load_catalog().questions, "t01"}


def test_a_question_is_put_together_from_its_files(pack: Path) -> None:
    question = content.read_catalog([pack]).questions["t01"]
    assert question.pack == "tables"
    assert question.statement == "How does a hash table find a key?"
    assert question.exercise.statement == "Write `lookup(table, key)`."
    assert question.exercise.starter is not None
    assert question.criterion("hash").weight == 30
    assert question.model_answer[1].covers == ("hash", "bucket", "collision")


def test_text_before_the_first_mark_of_a_model_answer_covers_nothing() -> None:
    parts = answer_parts("First.\n\n<!-- covers: a, b -->\nSecond.")
    assert [(part.text, part.covers) for part in parts] == [("First.", ()), ("Second.", ("a", "b"))]


@pytest.mark.parametrize("name", ["question.yaml", "statement.md", "rubric.yaml", "answer.md", "exercise.md"])
def test_a_missing_file_is_named(pack: Path, folder: Path, name: str) -> None:
    (folder / name).unlink()
    problem = problem_of(pack)
    assert (problem.path, problem.problem) == (folder / name, "is missing; add it")


def test_an_empty_file_is_named(pack: Path, folder: Path) -> None:
    (folder / "statement.md").write_text(" \n")
    assert problem_of(pack).path == folder / "statement.md"


def test_text_in_another_encoding_is_refused_with_its_place(pack: Path, folder: Path) -> None:
    (folder / "statement.md").write_bytes("Größe".encode("latin-1"))
    assert "is not UTF-8" in problem_of(pack).problem


def test_yaml_that_cannot_be_parsed_is_reported_with_its_line(pack: Path, folder: Path) -> None:
    edit(folder / "rubric.yaml", "  tier: core", "  tier: [core")
    problem = problem_of(pack)
    assert problem.path == folder / "rubric.yaml"
    assert problem.line == 4


def test_a_wrong_field_of_a_criterion_is_reported_with_its_line(pack: Path, folder: Path) -> None:
    edit(folder / "rubric.yaml", "weight: 20", "weight: 200")
    problem = problem_of(pack)
    lines = (folder / "rubric.yaml").read_text().splitlines()
    assert problem.line is not None
    assert lines[problem.line - 1].strip() == "weight: 200"
    assert problem.problem.startswith("criteria.1.weight:")


def test_a_missing_field_is_reported_where_its_criterion_begins(pack: Path, folder: Path) -> None:
    edit(folder / "rubric.yaml", "  probe: What about bucket?\n", "")
    problem = problem_of(pack)
    assert problem.line is not None
    assert (folder / "rubric.yaml").read_text().splitlines()[problem.line - 1] == "- id: bucket"


def test_a_field_that_nobody_reads_is_refused(pack: Path, folder: Path) -> None:
    edit(folder / "question.yaml", "title:", "difficulty: hard\ntitle:")
    assert "difficulty" in problem_of(pack).problem


def test_an_empty_passage_is_blamed_on_the_model_answer(pack: Path, folder: Path) -> None:
    with (folder / "answer.md").open("a") as file:
        file.write("\n<!-- covers: hash -->\n")
    assert problem_of(pack).path == folder / "answer.md"


def test_an_exercise_without_fields_is_blamed_on_the_question(pack: Path, folder: Path) -> None:
    edit(folder / "question.yaml", "exercise: {form: code, title: lookup}", "exercise: lookup")
    problem = problem_of(pack)
    assert problem.path == folder / "question.yaml"
    assert problem.problem.startswith("exercise:")


def test_two_questions_with_one_id_are_refused(pack: Path, tmp_path: Path) -> None:
    pack.joinpath("t01-hashing").rename(tmp_path / "other")
    for name in ("t01-trees", "t01-hashing"):
        (pack / name).mkdir()
        for path in (tmp_path / "other").iterdir():
            (pack / name / path.name).write_bytes(path.read_bytes())
    assert "t01 exists twice" in problem_of(pack).problem


def test_folders_that_begin_with_a_dot_or_underscore_are_no_questions(pack: Path) -> None:
    (pack / "_drafts").mkdir()
    (pack / ".cache").mkdir()
    assert list(content.read_catalog([pack]).questions) == ["t01"]


def test_a_line_is_unknown_where_the_file_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("a: [")
    assert line_of(path, ["a"]) is None
