"""Checks packs for what the schema can't see: weights, atomic criteria, sources, model answers, the syllabus, spelling.

A pack may hold a `syllabus.yaml`, a list of what it promises (id, title, category, level, band, minutes, statement);
where it does, its questions must be exactly those. The graders live above this package, so the check of the model
answers is handed in as a function.
"""

import importlib.util
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from content.loader import COVERS, BrokenContent, load_question, pack_folders, read_yaml
from content.position import line_of
from content.schema import Criterion, Form, Level, Pack, Question

CRITERIA = range(8, 15)
HINTS = 3
LEAST = {"follow_ups": 2, "facts": 4}
WORDS_PER_MINUTE = (12, 45)  # a spoken answer with pauses to think; slower is no answer, faster can't be said
LONGEST_CRITERION = 30  # words
PROMISES = ("title", "category", "level", "band", "minutes", "statement")

SAYING = (
    "names|states|explains|gives|compares|contrasts|describes|quantifies|proposes|defines|distinguishes|derives|"
    "estimates|justifies|lists|identifies|recommends|chooses"
)
DOING = (
    "adds|applies|asks|checks|computes|drops|evicts|handles|keeps|loads|measures|normalises|pads|picks|predicts|"
    "rejects|resizes|returns|runs|says|scales|sets|shows|tests|tunes|uses|verifies"
)
TWO_VERBS = re.compile(rf"\band\s+(?:also\s+|then\s+)?(?:{SAYING}|{DOING})\b", re.IGNORECASE)
SAYING_FIRST = re.compile(rf"(?:{SAYING})\b", re.IGNORECASE)
TWO_SENTENCES = re.compile(r"[.!?]\s+[A-Z]|;")


class Problem(NamedTuple):
    """Something to mend: the file, its 1-based line (None: the file as a whole), and what to do."""

    path: Path
    line: int | None
    advice: str

    def __str__(self) -> str:
        """Return it as editors and terminals link it: `path:line: advice`."""
        return f"{self.path}:{self.line or 1}: {self.advice}"


class Grading(NamedTuple):
    """What a grader says of a model answer: why its gate rejects it (None: it doesn't), and the ids of criteria met."""

    gate: str | None
    met: frozenset[str]


Grade = Callable[[Question, str], Grading]


def lint_packs(folders: Iterable[Path] | None = None, grade: Grade | None = None) -> list[Problem]:
    """Return all problems of the packs in `folders` (None: the shipped ones), in the order of files.

    Args:
        folders: the packs' folders.
        grade: judges a model answer; None leaves that check out.
    """
    problems: list[Problem] = []
    seen: dict[str, Path] = {}
    for pack_folder in pack_folders() if folders is None else folders:
        problems += _lint_pack(pack_folder, grade, seen)
        problems += misspellings(pack_folder)
    return problems


def _lint_pack(pack_folder: Path, grade: Grade | None, seen: dict[str, Path]) -> Iterator[Problem]:
    questions: list[tuple[Path, Question]] = []
    for folder in sorted(path for path in pack_folder.iterdir() if path.is_dir() and path.name[0] not in "_."):
        try:
            question = load_question(folder, pack_folder.name)
        except BrokenContent as broken:
            yield Problem(broken.path, broken.line, broken.problem)
            continue
        if question.id in seen:
            yield Problem(folder / "question.yaml", 1, f"{question.id} is also {seen[question.id]}; take another id")
        seen[question.id] = folder
        questions.append((folder, question))
        yield from lint_question(folder, question)
        if grade is not None:
            yield from _graded(folder, question, grade(question, question.model_answer_text()))
    try:
        pack = Pack(**read_yaml(pack_folder / "pack.yaml"), id=pack_folder.name, questions=())
        yield from _companies(pack, questions)
        if (pack_folder / "syllabus.yaml").exists():
            yield from _syllabus(pack_folder / "syllabus.yaml", questions)
    except BrokenContent as broken:
        yield Problem(broken.path, broken.line, broken.problem)
    except (ValueError, TypeError) as error:
        yield Problem(pack_folder / "pack.yaml", 1, str(error))


def lint_question(folder: Path, question: Question) -> Iterator[Problem]:
    """Yield what is wrong with one loaded question, apart from its place in the pack."""
    yield from _parts(folder / "question.yaml", question)
    yield from _rubric(folder / "rubric.yaml", question)
    yield from _sources(folder, question)
    yield from _answer(folder / "answer.md", question)


def _parts(path: Path, question: Question) -> Iterator[Problem]:
    if len(question.hints) != HINTS:
        yield Problem(path, line_of(path, ["hints"]), f"has {len(question.hints)} hints; give {HINTS}")
    costs = [hint.cost for hint in question.hints]
    if any(later <= earlier for earlier, later in pairwise(costs)):
        yield Problem(path, line_of(path, ["hints"]), f"hints cost {costs}; let each cost more than the one before")
    for part, least in LEAST.items():
        if len(getattr(question, part)) < least:
            yield Problem(path, line_of(path, [part]), f"has too few {part.replace('_', '-')}; give at least {least}")
    for level in Level:
        if level not in question.lines:
            yield Problem(path, line_of(path, ["lines"]), f"doesn't state what passes at {level}; add it to lines")
    has_starter = question.exercise.starter is not None
    if has_starter is not (question.exercise.form is Form.CODE):
        advice = "remove starter.py" if has_starter else "add starter.py"
        yield Problem(path, line_of(path, ["exercise"]), f"exercise is of form {question.exercise.form}; {advice}")


def _rubric(path: Path, question: Question) -> Iterator[Problem]:
    criteria = question.criteria
    if len(criteria) not in CRITERIA:
        yield Problem(path, 1, f"has {len(criteria)} criteria; give {CRITERIA[0]} to {CRITERIA[-1]}")
    total = sum(criterion.weight for criterion in criteria)
    if abs(total - 100) > 1e-6:
        yield Problem(path, 1, f"weights sum to {total:g}; make them 100")
    for repeated in _repeated(criterion.id for criterion in criteria):
        yield Problem(path, 1, f"two criteria are called {repeated}; rename one")
    said = {_plain(text): c.id for c in criteria for text in (c.text, *c.examples)}
    for index, criterion in enumerate(criteria):
        for sign in _not_atomic(criterion):
            yield Problem(path, line_of(path, [index, "text"]), f"{criterion.id}: {sign}")
        for number, misconception in enumerate(criterion.misconceptions):
            twin = said.get(_plain(misconception))
            if twin:
                yield Problem(
                    path,
                    line_of(path, [index, "misconceptions", number]),
                    f"{criterion.id}: this misconception is what criterion {twin} rewards; make it a false sentence",
                )
        for number, pattern in enumerate(criterion.accept):
            try:
                re.compile(pattern)
            except re.error as error:
                line = line_of(path, [index, "accept", number])
                yield Problem(path, line, f"{criterion.id}: {pattern!r} is no regular expression ({error})")


def _not_atomic(criterion: Criterion) -> Iterator[str]:
    text = criterion.text
    if not SAYING_FIRST.match(text):
        yield f"begin with a verb of saying ({SAYING.replace('|', ', ').capitalize()})"
    if TWO_VERBS.search(text):
        yield "joins two verbs by 'and'; split it into two criteria"
    if TWO_SENTENCES.search(text):
        yield "is more than one sentence; split it into two criteria"
    if len(text.split()) > LONGEST_CRITERION:
        yield f"has {len(text.split())} words; say one thing in at most {LONGEST_CRITERION}"


def _sources(folder: Path, question: Question) -> Iterator[Problem]:
    path, rubric = folder / "question.yaml", folder / "rubric.yaml"
    known = [source.id for source in question.sources]
    for repeated in _repeated(known):
        yield Problem(path, line_of(path, ["sources"]), f"two sources are called {repeated}; rename one")
    used = set()
    for index, criterion in enumerate(question.criteria):
        for source in criterion.sources:
            used.add(source)
            if source not in known:
                line = line_of(rubric, [index, "sources"])
                yield Problem(rubric, line, f"{criterion.id}: source {source} isn't listed; add it to question.yaml")
    for index, source in enumerate(known):
        if source not in used:
            line = line_of(path, ["sources", index])
            yield Problem(path, line, f"no criterion cites source {source}; cite it or remove it")


def _answer(path: Path, question: Question) -> Iterator[Problem]:
    known, covered = {criterion.id for criterion in question.criteria}, set()
    for line, criterion_id in _covers(path):
        covered.add(criterion_id)
        if criterion_id not in known:
            yield Problem(path, line, f"covers {criterion_id}, which is no criterion; correct the name")
    for missing in sorted(known - covered):
        yield Problem(path, 1, f"no part covers {missing}; write it and name it in a covers line")
    words = len(re.sub(r"```.*?```", "", question.model_answer_text(), flags=re.DOTALL).split())
    least, most = (rate * question.minutes for rate in WORDS_PER_MINUTE)
    if not least <= words <= most:
        yield Problem(
            path, 1, f"has {words} words; a person gives {least} to {most} in {question.minutes} minutes, code apart"
        )


def _graded(folder: Path, question: Question, grading: Grading) -> Iterator[Problem]:
    path = folder / "answer.md"
    if grading.gate is not None:
        yield Problem(
            path, 1, f"the gate rejects the model answer ({grading.gate}); rewrite it as a person would say it"
        )
    lines = {criterion_id: line for line, criterion_id in _covers(path)}
    for criterion in question.criteria:
        if criterion.id not in grading.met:
            yield Problem(
                path,
                lines.get(criterion.id),
                f"the grader doesn't find {criterion.id}; say it in one plain sentence, or add such an example to it",
            )


def _covers(path: Path) -> Iterator[tuple[int, str]]:
    text = path.read_text(encoding="utf-8")
    for mark in COVERS.finditer(text):
        line = text.count("\n", 0, mark.start()) + 1
        yield from ((line, part.strip()) for part in mark["ids"].split(",") if part.strip())


def _companies(pack: Pack, questions: Iterable[tuple[Path, Question]]) -> Iterator[Problem]:
    known = {company.partition(":")[0] for company in pack.companies}
    for folder, question in questions:
        path = folder / "question.yaml"
        for company in question.companies:
            if company not in known:
                advice = f"{company} isn't among the pack's companies; take one of {', '.join(sorted(known))}"
                yield Problem(path, line_of(path, ["companies"]), advice)


def _syllabus(path: Path, questions: Iterable[tuple[Path, Question]]) -> Iterator[Problem]:
    rows: dict[str, dict[str, Any]] = {row["id"]: row for row in read_yaml(path)}
    for folder, question in questions:
        row = rows.pop(question.id, None)
        if row is None:
            yield Problem(folder / "question.yaml", 1, f"{question.id} isn't in the pack's syllabus; add a row to it")
            continue
        for name in PROMISES:
            value = getattr(question, name)
            if value != row[name]:
                place = folder / ("statement.md" if name == "statement" else "question.yaml")
                line = 1 if name == "statement" else line_of(place, [name])
                yield Problem(place, line, f"{name} is {str(value)!r}; the syllabus says {str(row[name])!r}")
    for missing in rows:
        yield Problem(path, None, f"{missing} has no folder in the pack; add {path.parent / missing}-<word>")


def misspellings(folder: Path) -> Iterator[Problem]:
    """Yield what codespell finds in a folder's texts."""
    if importlib.util.find_spec("codespell_lib") is None:
        yield Problem(folder, None, "spelling wasn't checked; pip install codespell")
        return
    run = subprocess.run(
        [sys.executable, "-m", "codespell_lib", "--quiet-level=2", str(folder)], capture_output=True, text=True
    )
    for line in run.stdout.splitlines():
        found = re.match(r"(?P<path>.*?):(?P<line>\d+): (?P<word>.*)", line)
        if found:
            yield Problem(Path(found["path"]), int(found["line"]), f"spelling: {found['word']}")


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
