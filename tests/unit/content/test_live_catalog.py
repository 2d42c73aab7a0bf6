import os
from pathlib import Path

import pytest

import content


def save(path: Path, text: str) -> None:
    """Write a file so that its time differs from before, however coarse the file system's clock is."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 1_000_000_000, before + 1_000_000_000))


def test_an_unchanged_pack_is_not_read_again(pack: Path) -> None:
    live = content.LiveCatalog([pack])
    assert live.current() is live.current()


def test_an_edited_question_is_read_again(pack: Path, folder: Path) -> None:
    live = content.LiveCatalog([pack])
    save(folder / "statement.md", "How does a hash table forget a key?")
    assert live.current().questions["t01"].statement == "How does a hash table forget a key?"
    assert live.problem is None


def test_a_broken_file_is_reported_and_the_last_good_state_stays(pack: Path, folder: Path) -> None:
    live = content.LiveCatalog([pack])
    good = live.current()
    save(folder / "rubric.yaml", "- id: [")
    assert live.current() is good
    assert live.problem is not None
    assert live.problem.path == folder / "rubric.yaml"


def test_a_mended_file_clears_the_problem(pack: Path, folder: Path) -> None:
    live = content.LiveCatalog([pack])
    text = (folder / "rubric.yaml").read_text()
    save(folder / "rubric.yaml", "- id: [")
    live.current()
    save(folder / "rubric.yaml", text)
    assert live.current().questions["t01"].criterion("hash")
    assert live.problem is None


def test_a_new_question_appears_and_a_removed_one_goes(pack: Path, folder: Path) -> None:
    live = content.LiveCatalog([pack])
    twin = pack / "t02-trees"
    twin.mkdir()
    for path in folder.iterdir():
        (twin / path.name).write_bytes(path.read_bytes())
    assert list(live.current().questions) == ["t01", "t02"]
    for path in twin.iterdir():
        path.unlink()
    twin.rmdir()
    assert list(live.current().questions) == ["t01"]


def test_a_pack_that_is_broken_from_the_start_is_refused(pack: Path, folder: Path) -> None:
    (folder / "answer.md").unlink()
    with pytest.raises(content.BrokenContent):
        content.LiveCatalog([pack])


def test_without_folders_the_shipped_packs_are_followed() -> None:
    assert content.LiveCatalog().current() == content.load_catalog()
