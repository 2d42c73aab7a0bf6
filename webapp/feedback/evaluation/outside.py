"""Outside sets, read from a folder where they are found; none of them ships.

saf/data/*/english/*.xml      Short Answer Feedback (Filighera et al., ACL 2022): answers to questions on computer
                              networks, scored by people
gold_ml_interview_24x4.py     24 interview answers x 4 criteria, `Q = [...]` as a Python literal
rubric-draft.json             rubrics: for each question rows of `c`, `ex` (examples) and `mis` (misconceptions)
"""

import ast
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from content import Criterion, Question, Tier, load_catalog
from webapp.feedback.evaluation.labelled import LabelledAnswer, LabelledSet
from webapp.feedback.text import sentences, words

# how many true and false sentences an answer is made of, each about another criterion
MADE_OF = {"strong": (8, 0), "solid": (6, 0), "mixed": (4, 4), "partial": (3, 0), "wrong": (0, 7)}
FOLDS = 3


def outside_sets(folder: Path) -> tuple[list[LabelledSet], list[str]]:
    """Return the sets found in a folder, and for each that isn't there a sentence that says so."""
    found, missing = [], []
    for needed, read in READERS.items():
        if (folder / needed).exists():
            found.append(read(folder / needed))
        else:
            missing.append(f"{needed} isn't in {folder}, so its set was skipped.")
    return found, missing


def read_saf(folder: Path) -> LabelledSet:
    """Read SAF's English answers of three words or more.

    A total is the score's share of its question's highest; the criteria are the sentences of the reference answer.
    """
    answers: list[LabelledAnswer] = []
    # several files may be one question, and several questions may share an id: its text tells
    by_question: dict[str, list[tuple[str, ElementTree.Element]]] = {}
    for path in sorted(folder.glob("*/english/*.xml")):
        root = ElementTree.parse(path).getroot()  # noqa: S314 (a folder that the caller names)
        by_question.setdefault(root.findtext("questionText") or path.stem, []).append((path.stem, root))
    bank = []
    for number, (statement, files) in enumerate(by_question.items()):
        reference = files[0][1].findtext("referenceAnswers/referenceAnswer") or ""
        pieces = [reference[slice(*span)] for span in sentences(reference)]
        criteria = [(piece, (), ()) for piece in pieces if len(words(piece)) > 1]
        question = make_question(f"saf{number:02d}", statement, criteria)
        bank.append(question)
        rows = [
            (answer.findtext("response") or "", float(answer.findtext("score") or 0))
            for _, root in files
            for answer in root.iter("studentAnswer")
        ]
        highest = max(score for _, score in rows) or 1.0
        answers += [
            LabelledAnswer(question, text, "students", None, score / highest)
            for text, score in rows
            if len(text.split()) >= 3
        ]
    about = (
        f"{len(answers):,} answers of students to {len(bank)} questions on computer networks, scored by people (SAF, "
        "Filighera et al. 2022); answers of under three words left out. The only criteria are the reference's "
        "sentences."
    )
    return LabelledSet("students' answers (SAF)", about, False, answers, bank)


def read_mini_set(path: Path) -> LabelledSet:
    """Read the interview answers whose verdicts are known by construction."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = next(_literal(node.value) for node in tree.body if isinstance(node, ast.Assign))
    answers = []
    for row in rows:
        question = make_question(row["id"], row["q"], [(text, (), ()) for text in row["c"]])
        for text, truth in row["a"]:
            met = {c.id: bool(value) for c, value in zip(question.criteria, truth, strict=True)}
            answers.append(LabelledAnswer(question, text, "interview", None, None, met))
    bank = list({answer.question.id: answer.question for answer in answers}.values())
    about = "Answers to six interview questions, written so that the verdict on each of four criteria is known."
    return LabelledSet("verdicts by construction", about, True, answers, bank)


def read_rubric_draft(path: Path) -> LabelledSet:
    """Make answers of a third of the rubrics' sentences, to be graded by what is left of the rubrics."""
    rubrics: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
    catalog = load_catalog().questions

    def rubric(id: str, without: int | None = None) -> Question:
        def rest(texts: Sequence[str]) -> list[str]:
            return [text for number, text in enumerate(texts) if number != without]

        rows = [(row["c"], rest(row["ex"]), rest(row["mis"])) for row in rubrics[id]]
        return make_question(id, catalog[id].statement if id in catalog else "", rows)

    answers = []
    for id, rows in rubrics.items():
        for fold in range(FOLDS):
            question, chance, order = rubric(id, without=fold), random.Random(f"{id} {fold}"), list(range(len(rows)))
            for stratum, (right, wrong) in MADE_OF.items():
                chance.shuffle(order)
                said = [rows[n]["ex"][fold] for n in order[:right]]
                said += [rows[n]["mis"][fold] for n in order[right : right + wrong]]
                chance.shuffle(said)
                met = {f"c{n}": n in order[:right] for n in range(len(rows))}
                answers.append(LabelledAnswer(question, " ".join(said), stratum, None, None, met))
    about = (
        "Answers made of true and false sentences of other rubrics for the same questions, graded by the sentences of "
        "those rubrics that the answer doesn't have."
    )
    return LabelledSet("held-out rubric sentences", about, True, answers, [rubric(id) for id in rubrics])


READERS: dict[str, Callable[[Path], LabelledSet]] = {
    "saf/data": read_saf,
    "gold_ml_interview_24x4.py": read_mini_set,
    "rubric-draft.json": read_rubric_draft,
}


def make_question(id: str, statement: str, criteria: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> Question:
    """Return a question of (text, examples, misconceptions) rows; unchecked, as foreign rubrics have fewer of both."""
    rubric: list[dict[str, Any]] = [
        {
            "id": f"c{number}",
            "text": text,
            "tier": Tier.CORE,
            "weight": 100 / len(criteria),
            "examples": tuple(examples),
            "misconceptions": tuple(misconceptions),
            "probe": "",
            "sources": (),
        }
        for number, (text, examples, misconceptions) in enumerate(criteria)
    ]
    fields: dict[str, Any] = {
        "id": id,
        "title": "",
        "statement": statement,
        "criteria": tuple(Criterion.model_construct(**row) for row in rubric),
        **dict.fromkeys(("model_answer", "hints", "facts", "follow_ups"), ()),
    }
    return Question.model_construct(**fields)


def _literal(node: ast.expr) -> Any:
    """Read a Python literal in which `dict(name=value)` may stand for a dict; nothing is run."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(element) for element in node.elts]
    return ast.literal_eval(node)
