"""How far the graders agree with people, and with answers and statements of known truth.

    python -m tests.bench.grading [--data FOLDER] [--write]

The answers of `tests/bench/answers.yaml` are always measured. The other sets are looked for in FOLDER (or VIVALAB_DATA)
and are skipped, with the reason, where they aren't there:

    saf/data/*/english/*.xml      Short Answer Feedback (Filighera et al. 2022): networking answers scored by people
    gold_ml_interview_24x4.py     24 answers x 4 criteria, verdicts by construction
    rubric-draft.json             15 rubrics, 8 criteria each with examples and misconceptions

The rubrics' own sentences are measured held out: each third of the examples and misconceptions makes answers that are
graded by a rubric of the other two thirds. `--write` puts the figures where the pages read them.
"""

import argparse
import importlib.util
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray

import content
import webapp.feedback
from content import Criterion, Question, Tier, load_catalog
from webapp.feedback import CoverageGrader, Feedback, Figure, Verdict, grade, grade_with
from webapp.feedback.text import sentences, words

HERE = Path(__file__).parent
CONTENT = Path(content.__file__).parent
# how many true and false sentences an answer is made of, each about another criterion
MADE_OF = {"strong": (8, 0), "solid": (6, 0), "mixed": (4, 4), "partial": (3, 0), "wrong": (0, 7)}
KINDS = {"gaming": 0, "wrong": 1, "partial": 2, "terse": 3, "solid": 3, "strong": 4}


class Labelled(NamedTuple):
    """What a grader made of one answer, beside the truth: for each criterion, or for the whole."""

    question: str
    kind: str
    truth: Sequence[float]
    feedback: Feedback


def rank(values: ArrayLike) -> NDArray[np.float64]:
    """Return average ranks, from 1."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    return pearson(rank(a), rank(b))


def auc(truth: ArrayLike, values: ArrayLike) -> float:
    """Return how often a true one has a higher value than a false one; ties count half."""
    positive = np.asarray(truth) == 1
    ranks, ones = rank(values), int(positive.sum())
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * (len(positive) - ones)))


def make_question(id: str, statement: str, criteria: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> Question:
    """Return a question of (text, examples, misconceptions) rows; unchecked, as foreign rubrics have fewer of both."""
    return Question.model_construct(
        id=id,
        title="",
        statement=statement,
        criteria=tuple(
            Criterion.model_construct(
                id=f"c{number}",
                text=text,
                tier=Tier.CORE,
                weight=100 / len(criteria),
                examples=tuple(examples),
                misconceptions=tuple(misconceptions),
                accept=(),
                probe="",
                sources=(),
            )
            for number, (text, examples, misconceptions) in enumerate(criteria)
        ),
        model_answer=(),
        hints=(),
        facts=(),
        follow_ups=(),
    )


def coverage_of(feedback: Feedback) -> float:
    return float(np.mean([verdict.coverage or 0.0 for verdict in feedback.verdicts]))


def known_answers() -> list[Labelled]:
    """Grade the answers of known kinds by the catalog's rubrics."""
    answers = yaml.safe_load((HERE / "answers.yaml").read_text(encoding="utf-8"))
    return [
        Labelled(question, answer["kind"], [KINDS[answer["kind"]]], grade(question, answer["text"]))
        for question, listed in answers.items()
        if question in load_catalog().questions
        for answer in listed
    ]


def saf(folder: Path) -> list[Labelled]:
    """Grade SAF's English answers of three words or more; the truth is the score's share of its question's highest."""
    rows: list[tuple[Question, str, float]] = []
    by_question: dict[str, list[ElementTree.Element]] = {}
    for path in sorted(folder.glob("saf/data/*/english/*.xml")):
        root = ElementTree.parse(path).getroot()  # noqa: S314 (a folder that the caller names)
        # three different questions carry the id 2.1, so that files are told apart by name
        by_question.setdefault(path.stem, []).append(root)
    for id, roots in by_question.items():
        reference = roots[0].findtext("referenceAnswers/referenceAnswer") or ""
        criteria = [reference[slice(*span)] for span in sentences(reference) if len(words(reference[slice(*span)])) > 1]
        question = make_question(id, roots[0].findtext("questionText") or "", [(text, (), ()) for text in criteria])
        answers = [
            (a.findtext("response") or "", float(a.findtext("score") or 0))
            for r in roots
            for a in r.iter("studentAnswer")
        ]
        highest = max(score for _, score in answers) or 1.0
        rows += [(question, text, score / highest) for text, score in answers if len(text.split()) >= 3]
    grader = CoverageGrader(bank=list({row[0].id: row[0] for row in rows}.values()))
    return [Labelled(question.id, "saf", [score], grade_with(grader, question, text)) for question, text, score in rows]


def mini_set(folder: Path) -> list[Labelled]:
    """Grade the 24 interview answers whose verdicts are known by construction."""
    spec = importlib.util.spec_from_file_location("mini_set", folder / "gold_ml_interview_24x4.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = [(make_question(r["id"], r["q"], [(c, (), ()) for c in r["c"]]), a, t) for r in module.Q for a, t in r["a"]]
    grader = CoverageGrader(bank=list({row[0].id: row[0] for row in rows}.values()))
    return [Labelled(question.id, "mini", truth, grade_with(grader, question, text)) for question, text, truth in rows]


def held_out(folder: Path) -> Iterator[Labelled]:
    """Grade answers made of held-out sentences of rubrics by what is left of them."""
    rubrics: dict[str, list[dict[str, Any]]] = json.loads((folder / "rubric-draft.json").read_text(encoding="utf-8"))
    syllabus = yaml.safe_load((CONTENT / "multimodal" / "syllabus.yaml").read_text(encoding="utf-8"))
    statements = {row["id"]: row["statement"] for row in syllabus}

    def rubric(id: str, without: int | None = None) -> Question:
        def rest(texts: Sequence[str]) -> list[str]:
            return [text for number, text in enumerate(texts) if number != without]

        return make_question(id, statements[id], [(row["c"], rest(row["ex"]), rest(row["mis"])) for row in rubrics[id]])

    grader = CoverageGrader(bank=[rubric(id) for id in rubrics])
    for id, rows in rubrics.items():
        for fold in range(3):
            question = rubric(id, without=fold)
            chance = random.Random(f"{id} {fold}")
            order = list(range(len(rows)))
            for kind, (right, wrong) in MADE_OF.items():
                chance.shuffle(order)
                said = [rows[n]["ex"][fold] for n in order[:right]]
                said += [rows[n]["mis"][fold] for n in order[right : right + wrong]]
                chance.shuffle(said)
                truth = [float(n in order[:right]) for n in range(len(rows))]
                yield Labelled(id, kind, truth, grade_with(grader, question, " ".join(said)))


def measure_known(rows: Sequence[Labelled]) -> Figure:
    """Compare scores with the kinds of our own answers."""
    order = spearman([row.truth[0] for row in rows], [row.feedback.score or 0.0 for row in rows])
    print(f"answers of known kinds: {len(rows)}, Spearman of score and kind {order:.3f}")
    show_kinds(rows, list(KINDS))
    return Figure(
        "our own answers of six kinds, gaming to strong (used in tuning)", "rank correlation", order, len(rows)
    )


def measure_saf(rows: Sequence[Labelled]) -> Figure:
    """Compare coverage with people's scores, within each question."""
    within = []
    for question in {row.question for row in rows}:
        truth, found = zip(
            *((r.truth[0], coverage_of(r.feedback)) for r in rows if r.question == question), strict=True
        )
        if len(set(truth)) > 1:
            within.append(pearson(truth, found))
    pooled = pearson([row.truth[0] for row in rows], [coverage_of(row.feedback) for row in rows])
    gates = Counter(row.feedback.gate.reason for row in rows if row.feedback.gate)
    print(f"SAF: {len(rows)} answers, correlation of coverage and score")
    print(f"   r {np.mean(within):.3f} within a question, {pooled:.3f} pooled")
    print(f"   stopped by the gate: {dict(gates)}")
    about = f"people's scores of students' answers to {len(within)} networking questions (SAF)"
    return Figure(about, "correlation", float(np.mean(within)), len(rows))


def measure_mini_set(rows: Sequence[Labelled]) -> Figure:
    """Compare verdicts with those known by construction."""
    return Figure(
        "verdicts known by construction, six interview questions (used in tuning)",
        "accuracy",
        *show_verdicts("mini set", rows),
    )


def measure_held_out(rows: Sequence[Labelled]) -> Figure:
    """Compare verdicts on held-out rubric sentences with where the sentences came from."""
    accuracy, size = show_verdicts("held-out rubric sentences", rows)
    show_kinds(rows, ("strong", "solid", "mixed", "partial", "wrong"))
    return Figure("true and false rubric sentences held out, 15 questions (used in tuning)", "accuracy", accuracy, size)


def show_verdicts(name: str, rows: Sequence[Labelled]) -> tuple[float, int]:
    """Print what verdicts are worth; return the accuracy of `met` and their number."""
    truth = np.concatenate([row.truth for row in rows]) == 1
    values = np.array([verdict.coverage or 0.0 for row in rows for verdict in row.feedback.verdicts])
    met = np.array([verdict.verdict is Verdict.MET for row in rows for verdict in row.feedback.verdicts])
    print(f"{name}: {len(truth)} verdicts, AUC {auc(truth, values):.3f}")
    lines = {f"coverage >= {line:.2f}": values >= line for line in (0.15, 0.18, 0.2, 0.25, 0.3, 0.35, 0.4)}
    for what, said in {"met": met, **lines}.items():
        precision, recall, accuracy = truth[said].mean(), said[truth].mean(), (said == truth).mean()
        print(f"   {what:16} precision {precision:.2f}, recall {recall:.2f}, accuracy {accuracy:.2f}")
    return float((met == truth).mean()), len(truth)


def show_kinds(rows: Sequence[Labelled], kinds: Sequence[str]) -> None:
    """Print the scores by kind of answer."""
    for kind in kinds:
        scores = [row.feedback.score or 0.0 for row in rows if row.kind == kind]
        print(f"   {kind:8} score {np.mean(scores):5.1f}, from {min(scores):.0f} to {max(scores):.0f}")


OUTSIDE: tuple[tuple[str, Callable[[Path], Iterable[Labelled]], Callable[[Sequence[Labelled]], Figure]], ...] = (
    ("saf/data", saf, measure_saf),
    ("gold_ml_interview_24x4.py", mini_set, measure_mini_set),
    ("rubric-draft.json", held_out, measure_held_out),
)


def measure(folder: Path | None) -> list[Figure]:
    """Measure every set that is there."""
    figures = [measure_known(known_answers())]
    for needed, load, measure_set in OUTSIDE:
        if folder and (folder / needed).exists():
            figures.append(measure_set(list(load(folder))))
        else:
            print(f"{needed}: skipped, it is not in {folder or 'a data folder (--data or VIVALAB_DATA)'}")
    return figures


def write(figures: Sequence[Figure]) -> None:
    """Put the figures into webapp/feedback/measured.py."""
    path = Path(webapp.feedback.__file__).parent / "measured.py"
    head = path.read_text(encoding="utf-8").split("MEASURED_ON")[0]
    rows = [
        f"        Figure({json.dumps(f.about)}, {json.dumps(f.statistic)}, {f.value:.3f}, {f.size}),\n" for f in figures
    ]
    path.write_text(
        f'{head}MEASURED_ON = "{datetime.now(UTC):%Y-%m-%d}"\n'
        f'MEASURED: dict[str, tuple[Figure, ...]] = {{\n    "coverage": (\n{"".join(rows)}    ),\n}}\n',
        encoding="utf-8",
    )
    print(f"written to {path}")


def main() -> None:
    """Read the options, measure, and write if asked to."""
    parser = argparse.ArgumentParser(description="Measure how far the graders agree with people.")
    parser.add_argument("--data", default=os.environ.get("VIVALAB_DATA"), help="folder of the outside sets")
    parser.add_argument("--write", action="store_true", help="write the figures for the pages")
    options = parser.parse_args()
    figures = measure(Path(options.data) if options.data else None)
    if options.write and len(figures) < 1 + len(OUTSIDE):
        parser.error("a set was skipped, so nothing was written; the pages show all figures or the old ones")
    if options.write:
        write(figures)


if __name__ == "__main__":
    main()
