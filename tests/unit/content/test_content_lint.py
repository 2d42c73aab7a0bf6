from pathlib import Path

import pytest

import content
from content.lint import Grading, Problem, lint_packs

QUESTION, RUBRIC, ANSWER = "question.yaml", "rubric.yaml", "answer.md"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def all_met(question: content.Question, answer: str) -> Grading:
    return Grading(None, frozenset(criterion.id for criterion in question.criteria))


def test_a_good_pack_has_no_problems(pack: Path) -> None:
    assert lint_packs([pack], all_met) == []


def test_the_shipped_questions_have_no_problems_of_their_own() -> None:
    assert [str(p) for p in lint_packs() if p.line is not None] == []


CASES = [
    # file, what is changed, the text on the reported line, what the advice says
    (QUESTION, "  - {text: Two keys may get the same bucket., cost: 2}\n", "", "hints:", "has 2 hints; give 3"),
    (QUESTION, "cost: 2}", "cost: 3}", "hints:", "let each cost more"),
    (QUESTION, "  - {about: threads, answer: One., keywords: [threads]}\n", "", "facts:", "too few facts"),
    (QUESTION, "  Senior: {core: 0.8, depth: 0.5}\n", "", "lines:", "doesn't state what passes at Senior"),
    (QUESTION, "form: code", "form: sweep", "exercise:", "remove starter.py"),
    (QUESTION, "companies: [Acme]", "companies: [Initech]", "companies: [Initech]", "Initech isn't among"),
    (QUESTION, "minutes: 5", "minutes: 4", "minutes: 4", "the syllabus says '5'"),
    (QUESTION, "level: Mid-Senior", "level: Staff", "level: Staff", "the syllabus says 'Mid-Senior'"),
    (QUESTION, "sources:\n", "sources:\n  - {id: x, title: X, ref: x}\n", "{id: x", "no criterion cites source x"),
    ("statement.md", "find a key", "lose a key", "lose a key", "statement is"),
    (RUBRIC, "weight: 30", "weight: 31", "- id: hash", "weights sum to 101; make them 100"),
    (RUBRIC, "text: States that the", "text: The", "text: The number", "begin with a verb of saying"),
    (RUBRIC, "chooses a bucket", "chooses a bucket and explains why", "chooses a bucket", "joins two verbs"),
    (RUBRIC, "chooses a bucket", "chooses a bucket; no search", "chooses a bucket", "more than one sentence"),
    (RUBRIC, "chooses a bucket", "chooses " + "a " * 30 + "bucket", "chooses", "in at most 30"),
    (RUBRIC, "Nobody needs the hash", "It comes down to the hash", "It comes down", "what criterion hash rewards"),
    (RUBRIC, "[clrs]", "[wiki]", "[wiki]", "source wiki isn't listed"),
    (RUBRIC, "- id: bucket", "- id: hash", "- id: hash", "two criteria are called hash"),
    (RUBRIC, "  probe: What about hash?", "  accept: ['(']\n  probe: Why?", "accept: ['(']", "no regular expression"),
    (ANSWER, "covers: hash, bucket", "covers: hash, buckets", "buckets", "covers buckets, which is no criterion"),
    (ANSWER, "equality, chaining", "equality", "A table", "no part covers chaining"),
    (ANSWER, "A table", "A table " + "and so on " * 80, "A table", "a person gives 60 to 225 in 5 minutes"),
    (ANSWER, "A table turns", "A table recieves", "recieves", "spelling: recieves ==> receives"),
]


@pytest.mark.parametrize(("name", "old", "new", "line", "advice"), CASES)
def test_a_fault_is_reported_with_file_line_and_advice(
    pack: Path, folder: Path, name: str, old: str, new: str, line: str, advice: str
) -> None:
    path = folder / name
    edit(path, old, new)
    found = [problem for problem in lint_packs([pack]) if advice in problem.advice]
    assert [problem.path for problem in found] == [path]
    assert line in path.read_text().splitlines()[(found[0].line or 1) - 1]


def test_a_rubric_with_too_few_criteria_is_reported(pack: Path, folder: Path) -> None:
    path = folder / RUBRIC
    path.write_text(path.read_text().partition("- id: attack")[0])
    assert Problem(path, 1, "has 7 criteria; give 8 to 14") in lint_packs([pack])


def test_code_without_a_starter_is_reported(pack: Path, folder: Path) -> None:
    (folder / "starter.py").unlink()
    assert any("add starter.py" in problem.advice for problem in lint_packs([pack]))


def test_a_file_that_cannot_be_read_is_one_problem_and_the_rest_is_still_checked(pack: Path, folder: Path) -> None:
    (folder / "exercise.md").unlink()
    edit(pack / "pack.yaml", "target: Mid-Senior\n", "")
    found = {problem.path.name: problem.advice for problem in lint_packs([pack])}
    assert found["exercise.md"] == "is missing; add it"
    assert "target" in found["pack.yaml"]


def test_a_promised_question_without_a_folder_is_reported(pack: Path) -> None:
    path = pack / "syllabus.yaml"
    path.write_text(path.read_text() + path.read_text().replace("t01", "t02"))
    assert [(p.path, p.line) for p in lint_packs([pack])] == [(path, None)]


def test_a_question_that_nobody_promised_is_reported(pack: Path) -> None:
    edit(pack / "syllabus.yaml", "t01", "t02")
    assert any("t01 isn't in the pack's syllabus" in problem.advice for problem in lint_packs([pack]))


def test_a_pack_without_a_syllabus_promises_nothing(pack: Path) -> None:
    (pack / "syllabus.yaml").unlink()
    assert lint_packs([pack]) == []


def test_one_id_in_two_packs_is_reported(pack: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    for path in pack.rglob("*"):
        if path.is_file():
            copy = twin / path.relative_to(pack)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    assert any("take another id" in problem.advice for problem in lint_packs([pack, twin]))


def test_a_model_answer_that_the_gate_rejects_is_reported(pack: Path, folder: Path) -> None:
    def gated(question: content.Question, answer: str) -> Grading:
        return Grading("words without a statement", all_met(question, answer).met)

    advice = "the gate rejects the model answer (words without a statement); rewrite it as a person would say it"
    assert lint_packs([pack], gated) == [Problem(folder / ANSWER, 1, advice)]


def test_a_criterion_that_the_model_answer_does_not_meet_is_reported_at_its_passage(pack: Path, folder: Path) -> None:
    def blind_to_chaining(question: content.Question, answer: str) -> Grading:
        return Grading(None, all_met(question, answer).met - {"chaining"})

    (problem,) = lint_packs([pack], blind_to_chaining)
    assert problem.path == folder / ANSWER
    assert "equality, chaining" in (folder / ANSWER).read_text().splitlines()[(problem.line or 1) - 1]


def test_the_grader_is_given_the_whole_model_answer(pack: Path) -> None:
    given: list[str] = []

    def listen(question: content.Question, answer: str) -> Grading:
        given.append(answer)
        return all_met(question, answer)

    lint_packs([pack], listen)
    assert given == [content.read_catalog([pack]).questions["t01"].model_answer_text()]


def test_unchecked_spelling_is_reported_rather_than_passed_over(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("content.lint.importlib.util.find_spec", lambda name: None)
    assert ["spelling wasn't checked" in problem.advice for problem in lint_packs([pack])] == [True]


def test_a_problem_prints_as_a_link_to_its_line() -> None:
    assert str(Problem(Path("a/rubric.yaml"), 3, "mend it")) == "a/rubric.yaml:3: mend it"
    assert str(Problem(Path("a/pack.yaml"), None, "add it")) == "a/pack.yaml:1: add it"
