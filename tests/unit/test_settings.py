import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from webapp.settings import Settings, is_loopback

ROOT = Path(__file__).parents[2]
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*NAMES, "SPACE_ID", "SPACE_HOST"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_documents_the_setting(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", (ROOT / "README.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_file_names_the_setting(name: str) -> None:
    assert re.search(rf"^# ?{name}=", (ROOT / ".env.example").read_text(), re.MULTILINE)


def test_the_readme_documents_no_setting_that_is_not_there() -> None:
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)) == set(NAMES)


def test_settings_come_from_the_environment_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("SERVE_PORT=7001\nSERVE_HOST=localhost\n")
    monkeypatch.setenv("SERVE_PORT", "7002")
    assert (Settings().serve_port, Settings().serve_host) == (7002, "localhost")


def test_a_wrong_value_names_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVE_PORT", "many")
    with pytest.raises(ValidationError, match="serve_port"):
        Settings()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.9.1"])
def test_a_loopback_address_is_personal(host: str) -> None:
    assert is_loopback(host)
    assert Settings(serve_host=host).personal


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "interviews.example.org"])  # noqa: S104
def test_any_other_address_is_for_guests(host: str) -> None:
    assert not Settings(serve_host=host).personal


def test_a_public_url_makes_a_loopback_address_one_for_guests() -> None:
    assert not Settings(public_url="https://interviews.example.org").personal


def test_a_space_is_for_guests_and_knows_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/vivalab")
    monkeypatch.setenv("SPACE_HOST", "someone-vivalab.hf.space")
    settings = Settings()
    assert not settings.personal
    assert (settings.address, settings.secure) == ("https://someone-vivalab.hf.space", True)


def test_the_cookie_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    key = settings.cookie_key()
    assert settings.cookie_key() == key
    assert len(key) >= 48
    assert (tmp_path / "data" / "cookie.key").stat().st_mode & 0o777 == 0o600


def test_code_without_confinement_is_for_one_person_only() -> None:
    assert Settings(run_code_unconfined=True).run_code_unconfined
    with pytest.raises(ValidationError, match="RUN_CODE_UNCONFINED"):
        Settings(run_code_unconfined=True, serve_host="0.0.0.0")  # noqa: S104


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"llm_base_url": "api.example.org"}, "must begin with http"),
        ({"llm_base_url": "https://api.example.org/v1"}, "LLM_MODEL"),
        ({"llm_model": "m"}, "LLM_BASE_URL"),
        ({"llm_base_url": "https://api.example.org/v1", "llm_model": "m", "llm_gguf": "m.gguf"}, "not both"),
    ],
)
def test_half_a_language_model_stops_the_start(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Settings(**given)


def test_a_key_is_never_shown() -> None:
    settings = Settings(llm_base_url="https://api.example.org/v1/", llm_model="m", llm_api_key="sk-secret-key")
    assert "sk-secret-key" not in repr(settings) + repr(settings.llm_endpoint)
    assert settings.llm_endpoint is not None
    assert settings.llm_endpoint.base_url == "https://api.example.org/v1"
