"""A source that is a file of an installed package must be there."""

import importlib.util
from pathlib import Path

import pytest

import content

FILES = sorted(
    {
        source.ref
        for question in content.load_catalog().questions.values()
        for source in question.sources
        if source.ref.endswith(".py") and "://" not in source.ref
    }
)


@pytest.mark.parametrize("ref", FILES)
def test_a_cited_file_exists_in_the_installed_package(ref: str) -> None:
    package, _, path = ref.partition("/")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert (Path(str(spec.origin)).parent / path).is_file()


def test_every_source_is_an_address_an_arxiv_number_or_a_file() -> None:
    for question in content.load_catalog().questions.values():
        for source in question.sources:
            assert source.ref.startswith(("https://", "arXiv:")) or source.ref in FILES, (question.id, source.id)
