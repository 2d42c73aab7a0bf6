"""Reads the sample answers beside the questions: what graders are measured on, never shown to a candidate."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from content.loader import BrokenContent, pack_folders, read_yaml
from content.position import line_of
from content.schema import SampleAnswer

FILE = "samples.yaml"
ROWS = TypeAdapter(list[SampleAnswer])


def load_samples(folders: Iterable[Path] | None = None) -> dict[str, tuple[SampleAnswer, ...]]:
    """Return the sample answers by question id; a question without a `samples.yaml` has none.

    Args:
        folders: Packs' folders, by default the shipped packs'.

    Raises:
        BrokenContent: A file can't be read, with the line and what is wrong.
    """
    return {
        path.parent.name.partition("-")[0]: read_samples(path)
        for folder in (pack_folders() if folders is None else folders)
        for path in sorted(folder.glob(f"*/{FILE}"))
    }


def read_samples(path: Path) -> tuple[SampleAnswer, ...]:
    """Read one file of sample answers; BrokenContent where it is wrong."""
    try:
        return tuple(ROWS.validate_python(read_yaml(path)))
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise BrokenContent(path, problem, line_of(path, first["loc"])) from None
