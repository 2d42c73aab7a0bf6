"""Every attack, in every kind of surroundings; `attacks.py` says how each must fail."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy
import pytest

from tests.unit.jail.attacks import FAMILIES
from tests.unit.jail.surroundings import SURROUNDINGS

ROOT = Path(__file__).parents[3]
PROBES = {"file", "stat", "socket", "socketpair", "fork", "exec", "kill", "memfd", "pipe"}


@cache
def interpreter_for_everybody(folder: Path) -> str | None:
    """Return a Python that any user may start, with this one's packages: this or the system's of the same version."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        found = shutil.which(python)
        if found and all(part.stat().st_mode & 0o001 for part in Path(found).resolve().parents):
            if found == sys.executable:
                return found
            subprocess.run([found, "-m", "venv", "--without-pip", folder / "python"], check=True)
            (site,) = (folder / "python").glob("lib/*/site-packages")
            (site / "packages.pth").write_text(str(Path(numpy.__file__).parents[1]))
            return str(folder / "python" / "bin" / "python")
    return None


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """Return a folder that every user may enter; pytest's own are for one user alone."""
    with tempfile.TemporaryDirectory(prefix="jail-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module", params=list(SURROUNDINGS))
def report(request: pytest.FixtureRequest, open_folder: Path) -> dict[str, Any]:
    """Return what came of all attacks in these surroundings."""
    as_root = SURROUNDINGS[request.param][0]
    if as_root and os.getuid() != 0:
        pytest.skip("only root can be root")
    python = sys.executable if as_root or os.getuid() != 0 else interpreter_for_everybody(open_folder)
    if python is None:
        pytest.skip("no Python that another user may start")
    folder = open_folder / request.param.replace(" ", "-")
    folder.mkdir()
    folder.chmod(0o777)
    done = subprocess.run(
        [python, "-m", "tests.unit.jail.surroundings", request.param, folder],
        cwd=ROOT,
        env={"OPENAI_API_KEY": "canary", "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    result: dict[str, Any] = {"name": request.param, **json.loads(done.stdout)}
    return result


def test_the_kernel_and_the_self_test_confirm_that_code_is_shut_in(report: dict[str, Any]) -> None:
    root, landlock, _ = SURROUNDINGS[report["name"]]
    assert report["probes"] == dict.fromkeys(PROBES, True)
    assert any(layer.startswith("Landlock") for layer in report["layers"]) == landlock
    assert {"seccomp", "limits", "no new privileges"} <= set(report["layers"])
    assert ("uid 65534" in report["layers"]) == root


@pytest.mark.parametrize("family", FAMILIES)
def test_attacks_fail_for_the_reason_that_they_must(report: dict[str, Any], family: str) -> None:
    wrong = {
        label: (report["outcomes"][f"{family}/{label}"], "must be", attack.fails)
        for label, attack in FAMILIES[family].items()
        if not re.fullmatch(attack.fails, report["outcomes"][f"{family}/{label}"])
    }
    assert not wrong


def test_every_other_system_call_is_refused(report: dict[str, Any]) -> None:
    assert report["other calls"] == {}


def test_peak_memory_is_counted_anew_at_each_call(report: dict[str, Any]) -> None:
    assert report["peaks"] == [pytest.approx(60, abs=3), pytest.approx(10, abs=3)]


def test_nothing_is_left_of_the_attacks(report: dict[str, Any]) -> None:
    assert report["still works"] == 42
    assert (report["files left"], report["threads left"], report["processes left"]) == (0, 0, [])
    assert (report["folder"], report["shared memory left"]) == (["vivalab.db"], [])
