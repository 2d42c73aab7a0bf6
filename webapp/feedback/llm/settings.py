"""The llm grader's settings; the application's class inherits them."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from webapp.feedback.llm.endpoint import KEYLESS, Endpoint

ENDPOINT_SECONDS, LOCAL_SECONDS = 60.0, 600.0


class LlmSettings(BaseSettings):
    """Read from the environment, then from `.env`; without LLM_BASE_URL or LLM_GGUF no language model grades."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore")

    llm_base_url: str = Field(
        default="",
        description="OpenAI-compatible endpoint that grades, such as `https://api.openai.com/v1` or "
        "`http://127.0.0.1:11434/v1`. Default: none, the embedded coverage estimate grades.",
    )
    llm_api_key: SecretStr | None = Field(default=None, description="The endpoint's key, if it wants one.")
    llm_model: str = Field(default="", description="The model's name at the endpoint.")
    llm_gguf: str = Field(
        default="",
        description="A model of one's own instead of an endpoint: a GGUF file, or `owner/repository:file.gguf` on the "
        "Hugging Face Hub. Needs the extra `local-llm`.",
    )
    llm_context: int = Field(
        default=0,
        ge=0,
        description="Tokens that prompt and reply may have together; longer answers are read in parts. 0: as much as "
        "the endpoint takes, and 8192 for LLM_GGUF. Set it where a server cuts long prompts silently, as Ollama does.",
    )
    llm_timeout: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="Seconds without an answer after which a request is tried again. Default: 60, and 600 for "
        "LLM_GGUF, which may have to compute on a processor.",
    )
    llm_criteria_per_call: int = Field(
        default=5, ge=1, le=40, description="How many criteria the model reads at once; 1 is the most careful and dear."
    )
    llm_second_sample: bool = Field(
        default=False,
        description="Read each criterion twice, and mark those where the readings differ for a person to look at.",
    )
    llm_price_in: float | None = Field(
        default=None, ge=0, description="Price of a million tokens read, for the cost that the review shows."
    )
    llm_price_out: float | None = Field(default=None, ge=0, description="Price of a million tokens written.")

    llm_own: str = Field(
        default="public",
        description="Whether candidates may have practice answers read by a model of their own, with their own key: "
        "`public` (at public https hosts), `off`, or the hosts allowed, separated by commas. On a laptop any address.",
    )

    @field_validator("llm_api_key", "llm_timeout", "llm_price_in", "llm_price_out", mode="before")
    @classmethod
    def _blank_means_none(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("llm_base_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            raise ValueError("must begin with http:// or https://, as in https://api.openai.com/v1")
        return value

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.llm_base_url and self.llm_gguf:
            raise ValueError("set either LLM_BASE_URL or LLM_GGUF, not both")
        if self.llm_base_url and not self.llm_model:
            raise ValueError("LLM_BASE_URL needs LLM_MODEL, the model's name at that endpoint")
        if not self.llm_base_url and not self.llm_gguf and self.llm_model:
            raise ValueError("LLM_MODEL needs LLM_BASE_URL; OpenAI's own is https://api.openai.com/v1")
        return self

    @property
    def local_seconds(self) -> float:
        """Seconds after which a request to a model on this machine is given up."""
        return self.llm_timeout or LOCAL_SECONDS

    @property
    def llm_endpoint(self) -> Endpoint | None:
        """The host's endpoint, None if there is none."""
        if not self.llm_base_url:
            return None
        return Endpoint(
            base_url=self.llm_base_url,
            model=self.llm_model,
            api_key=self.llm_api_key or KEYLESS,
            timeout=self.llm_timeout or ENDPOINT_SECONDS,
            context=self.llm_context,
            price_in=self.llm_price_in,
            price_out=self.llm_price_out,
        )
