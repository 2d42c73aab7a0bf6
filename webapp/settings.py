"""Every setting of the application, in one class; the README lists the same names."""

import ipaddress
import os
import secrets
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import Field, SecretStr, field_validator, model_validator

from sandbox import SandboxSettings
from webapp.feedback import LlmSettings


class AuthMode(StrEnum):
    """How visitors are told apart."""

    LOCAL = "local"


class Settings(LlmSettings, SandboxSettings):
    """Read from the environment, then from `.env`; a wrong value stops the start and names its variable."""

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("vivalab"),
        description="Where the database, uploads and the cookie key live. Default: the user's data folder.",
    )
    database_url: str = Field(
        default="",
        description="`sqlite:///path` or `postgresql://user:password@host/name`. Default: SQLite in DATA_DIR.",
    )
    auth_mode: AuthMode = Field(
        default=AuthMode.LOCAL,
        description="`local`: on a loopback address one person with all roles and no form; on any other address "
        "visitors practise as guests.",
    )
    interviewer_password: SecretStr | None = Field(
        default=None,
        description="Opens the review to those who know it, where visitors are guests. Plain, or an argon2 hash made "
        "by `vivalab hash-password`. Without it the review stays closed.",
    )
    serve_host: str = Field(default="127.0.0.1", description="Address to serve on.")
    serve_port: int = Field(default=7860, ge=1, le=65535, description="Port to serve on.")
    public_url: str = Field(
        default="",
        description="Address that browsers use, such as `https://interviews.example.org`; makes cookies secure. "
        "On a Hugging Face Space it is known.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Signs cookies; the same for all processes of one service. Default: made once, kept in DATA_DIR.",
    )
    max_upload_mb: int = Field(default=20, ge=1, le=200, description="Largest picture that is accepted, in MB.")
    upload_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="Days that an uploaded picture is kept after it was last given; those in runs beside an answer "
        "stay with the answer.",
    )
    reload_content: bool = Field(
        default=False, description="Read questions again when their files change (for authors)."
    )

    @field_validator("interviewer_password", "secret_key", mode="before")
    @classmethod
    def _blank_is_absent(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @model_validator(mode="after")
    def _others_code_is_confined(self) -> "Settings":
        if self.run_code_unconfined and not self.personal:
            raise ValueError("RUN_CODE_UNCONFINED is only for one person on a loopback address; take it away")
        return self

    @cached_property
    def on_space(self) -> bool:
        """Whether this runs as a Hugging Face Space, which shows the page in a frame of another site."""
        return bool(os.environ.get("SPACE_ID"))

    @cached_property
    def address(self) -> str:
        """The address that browsers use, without a trailing slash."""
        if self.public_url:
            return self.public_url.rstrip("/")
        if self.on_space and (host := os.environ.get("SPACE_HOST")):
            return f"https://{host}"
        return f"http://{'127.0.0.1' if self.serve_host in ('0.0.0.0', '::') else self.serve_host}:{self.serve_port}"  # noqa: S104

    @property
    def secure(self) -> bool:
        """Whether browsers come over https."""
        return urlsplit(self.address).scheme == "https"

    @property
    def personal(self) -> bool:
        """Whether the one person at this computer is the only one who can reach the app."""
        return (
            self.auth_mode is AuthMode.LOCAL
            and is_loopback(self.serve_host)
            and not self.public_url
            and not self.on_space
        )

    @property
    def store_url(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'vivalab.db'}"

    def cookie_key(self) -> str:
        """Return the key that signs cookies, made and kept (mode 0600) at the first call."""
        if self.secret_key:
            return self.secret_key.get_secret_value()
        path = self.data_dir / "cookie.key"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text(encoding="ascii")
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(key := secrets.token_urlsafe(48))
        return key


def is_loopback(host: str) -> bool:
    """Whether a host name or address can be reached from this computer only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
