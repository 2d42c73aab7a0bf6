"""Reads packs from their folders.

A pack is a folder with `pack.yaml` and one folder a question, named `<id>-<word>`:

    question.yaml   title, level, band, minutes, category, tags, companies, lines, looks, hints, follow_ups, facts,
                    sources, exercise (form, title)
    statement.md    what the candidate reads
    rubric.yaml     the list of criteria
    answer.md       the model answer; `<!-- covers: projector, grid -->` begins the part that meets those criteria
    exercise.md     the live exercise's statement
    starter.py      the code that a candidate begins with (form `code` only)
    samples.yaml    answers of known quality, to measure graders on (optional; see `content.samples`)
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from content.position import line_of
from content.schema import AnswerPart, Catalog, Pack, Question

HERE = Path(__file__).parent
COVERS = re.compile(r"^<!--\s*covers:\s*(?P<ids>[^>]*?)\s*-->[ \t]*$", re.MULTILINE)


class BrokenContent(Exception):
    """A content file that can't be used: `path`, `line` (1-based, None where unknown) and what to do about it."""

    def __init__(self, path: Path, problem: str, line: int | None = None) -> None:
        self.path, self.problem, self.line = path, problem, line
        super().__init__(f"{path}{f':{line}' if line else ''}: {problem}")


def read_text(path: Path) -> str:
    """Return a file's text; BrokenContent if it is missing, empty or not UTF-8."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BrokenContent(path, "is missing; add it") from None
    except UnicodeDecodeError as error:
        raise BrokenContent(path, f"is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
    if not text.strip():
        raise BrokenContent(path, "is empty; fill it")
    return text


def read_yaml(path: Path) -> Any:
    """Return a YAML file's data; BrokenContent with the line where it can't be parsed."""
    try:
        return yaml.safe_load(read_text(path))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise BrokenContent(path, f"is not valid YAML: {error.problem}", line) from None


def answer_parts(text: str) -> list[AnswerPart]:
    """Split a model answer at its `<!-- covers: ... -->` lines; text before the first covers nothing."""
    marks = list(COVERS.finditer(text))
    parts = [AnswerPart(text=text[: marks[0].start()], covers=())] if marks and text[: marks[0].start()].strip() else []
    for mark, end in zip(marks, [m.start() for m in marks[1:]] + [len(text)], strict=True):
        ids = tuple(part.strip() for part in mark["ids"].split(",") if part.strip())
        parts.append(AnswerPart(text=text[mark.end() : end], covers=ids))
    return parts or [AnswerPart(text=text, covers=())]


def read_answer(path: Path) -> tuple[AnswerPart, ...]:
    """Read a model answer; BrokenContent where a passage is empty."""
    try:
        return tuple(answer_parts(read_text(path)))
    except ValidationError:
        raise BrokenContent(path, "has a covers line with nothing after it; write its passage") from None


def load_question(folder: Path, pack: str) -> Question:
    """Read one question's folder; BrokenContent names the file and what is wrong."""
    data = read_yaml(folder / "question.yaml")
    if not isinstance(data, dict):
        raise BrokenContent(folder / "question.yaml", "must be a mapping", 1)
    exercise = data.pop("exercise", None)
    if not isinstance(exercise, dict):
        raise BrokenContent(folder / "question.yaml", "exercise: must be a mapping with form and title", 1)
    exercise = {**exercise, "statement": read_text(folder / "exercise.md")}
    starter = folder / "starter.py"
    if starter.exists():
        exercise["starter"] = read_text(starter)
    try:
        return Question(
            **data,
            id=folder.name.partition("-")[0],
            pack=pack,
            statement=read_text(folder / "statement.md"),
            criteria=read_yaml(folder / "rubric.yaml"),
            model_answer=read_answer(folder / "answer.md"),
            exercise=exercise,
        )
    except (ValidationError, TypeError) as error:
        raise _blame(folder, error) from None


FILES = {"criteria": "rubric.yaml", "statement": "statement.md"}
EXERCISE_FILES = {"statement": "exercise.md", "starter": "starter.py"}


def _blame(folder: Path, error: ValidationError | TypeError) -> BrokenContent:
    if isinstance(error, TypeError):
        return BrokenContent(folder / "question.yaml", str(error))
    first = error.errors()[0]
    location = first["loc"]
    problem = f"{'.'.join(map(str, location))}: {first['msg']}"
    if location[:1] == ("exercise",) and location[-1] in EXERCISE_FILES:
        return BrokenContent(folder / EXERCISE_FILES[str(location[-1])], problem)
    if location and location[0] in FILES:
        path = folder / FILES[str(location[0])]
        return BrokenContent(path, problem, line_of(path, location[1:]) if path.suffix == ".yaml" else None)
    path = folder / "question.yaml"
    return BrokenContent(path, problem, line_of(path, location))


def load_pack(folder: Path) -> tuple[Pack, list[Question]]:
    """Read a pack's folder; its questions stand in the order of their folders' names."""
    data = read_yaml(folder / "pack.yaml")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))
    questions = [load_question(path, folder.name) for path in folders]
    try:
        return Pack(**data, id=folder.name, questions=tuple(q.id for q in questions)), questions
    except (ValidationError, TypeError) as error:
        raise BrokenContent(folder / "pack.yaml", str(error)) from None


def read_catalog(folders: Iterable[Path]) -> Catalog:
    """Read packs from the given folders; BrokenContent where one is wrong or two questions share an id."""
    packs, questions = [], {}
    for folder in folders:
        pack, found = load_pack(folder)
        packs.append(pack)
        for question in found:
            if question.id in questions:
                raise BrokenContent(folder, f"question id {question.id} exists twice; ids must differ across packs")
            questions[question.id] = question
    return Catalog(packs=tuple(packs), questions=questions)


def pack_folders(root: Path = HERE) -> list[Path]:
    """Return the folders below `root` that hold a `pack.yaml`."""
    return sorted(path.parent for path in root.glob("*/pack.yaml"))


@cache
def load_catalog() -> Catalog:
    """Return the shipped packs' questions, in pack order; read once a process."""
    return read_catalog(pack_folders())
