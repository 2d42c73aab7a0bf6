import shutil
from pathlib import Path

import pytest

PACKS = Path(__file__).parent / "packs"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A copy of a small pack that has nothing wrong, to be broken."""
    return Path(shutil.copytree(PACKS / "tables", tmp_path / "tables"))


@pytest.fixture
def folder(pack: Path) -> Path:
    return pack / "t01-hashing"
