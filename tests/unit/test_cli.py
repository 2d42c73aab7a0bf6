"""The `vivalab` command."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from webapp.cli import main
from webapp.password import Gatekeeper

run = CliRunner()


def test_help_lists_every_command() -> None:
    shown = run.invoke(main, ["--help"]).output
    for command in ("serve", "content", "evaluate", "train-tiny", "hash-password"):
        assert command in shown


def test_serve_help_explains_its_options_and_names_their_settings() -> None:
    shown = run.invoke(main, ["serve", "--help"], env={"COLUMNS": "200"}).output
    for told in ("--host", "--port", "--data-dir", "--model", "SERVE_HOST", "SERVE_PORT", "DATA_DIR", "SANDBOX_MODEL"):
        assert told in shown


def test_a_wrong_setting_stops_the_start_and_names_its_variable() -> None:
    done = run.invoke(main, ["serve"], env={"SERVE_PORT": "many"})
    assert done.exit_code == 2
    assert "SERVE_PORT" in done.output
    assert "Traceback" not in done.output


def test_show_prints_a_question_with_its_rubric() -> None:
    done = run.invoke(main, ["content", "show", "q01"])
    assert done.exit_code == 0
    assert "Multimodal Architecture Fundamentals" in done.output
    assert "## Rubric" in done.output


def test_show_names_the_questions_that_exist_when_asked_for_another() -> None:
    done = run.invoke(main, ["content", "show", "q99"])
    assert done.exit_code == 2
    assert "There is no question q99" in done.output
    assert "q01" in done.output


def test_a_hashed_password_opens_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    done = run.invoke(main, ["hash-password"], input="quiet words\nquiet words\n")
    printed = next(line for line in done.output.splitlines() if "$argon2" in line)
    assert Gatekeeper(printed[printed.index("$argon2") :], key="k").open


def test_the_app_is_imported_without_pytorch_so_that_the_first_page_does_not_wait_for_it():
    code = "import sys, webapp.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0
