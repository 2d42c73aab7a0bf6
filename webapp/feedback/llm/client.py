"""Asks an endpoint for one structured reply, in the strictest form that it understands.

The openai package retries what may pass (connection, timeout, 408, 409, 429, 5xx) with growing, jittered pauses, and
honors Retry-After up to two minutes. What is still wrong then is named here, without the endpoint's own words where
these could hold the key.
"""

import json
import threading
from collections.abc import Mapping
from enum import StrEnum
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from webapp.feedback.llm.endpoint import Endpoint
from webapp.feedback.llm.errors import EndpointRefuses, GraderAway, NotPublic, PromptTooLong
from webapp.feedback.llm.public import public_client

if TYPE_CHECKING:
    import openai

RETRIES = 2
SHORTEST_SECRET = 8
TOO_LONG = ("context length", "context_length", "context size", "context window", "maximum context", "too many tokens")


class FormRefused(Exception):
    """The endpoint doesn't understand the form or a parameter of a request."""


class Form(StrEnum):
    """How a reply's form is asked for, strictest first."""

    SCHEMA = "json_schema"
    LOOSE_SCHEMA = "loose_schema"  # without limits on lengths, which some endpoints refuse
    OBJECT = "json_object"
    TEXT = "text"

    def next(self) -> "Form":
        """The next less strict form."""
        forms = list(Form)
        return forms[forms.index(self) + 1]


class Reply(NamedTuple):
    """What a model replied; token counts are None where the endpoint gives none, `seconds` includes retries."""

    text: str
    form: Form
    finish_reason: str
    refusal: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float = 0.0


class Usage(BaseModel):
    """Tokens as the endpoint counts them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Message(BaseModel):
    """A choice's message."""

    content: str | None = None
    refusal: str | None = None


class Choice(BaseModel):
    """One of the replies."""

    message: Message = Message()
    finish_reason: str | None = None


class Completion(BaseModel):
    """What is read of a chat completion; endpoints differ in all the rest."""

    choices: list[Choice] = Field(default_factory=list)
    usage: Usage | None = None


class Client:
    """An endpoint's client; it remembers what the endpoint understands. Safe to share between threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Remember the endpoint; nothing is sent before `ask`."""
        self.model = endpoint.model
        self._endpoint = endpoint
        self.form = Form.SCHEMA
        self.failure = ""
        self._limit_name = "max_tokens"
        self._takes_temperature = True
        self._lock = threading.Lock()
        self._client: openai.OpenAI | None = None
        self._connected_to: Endpoint | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint."""
        return self._endpoint

    def ask(
        self,
        messages: list[dict[str, str]],
        schema: dict[str, Any],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> Reply:
        """Return the model's reply.

        Raises:
            GraderAway: The endpoint can't be reached, is busy or broken, or refuses.
            PromptTooLong: The prompt doesn't fit.
        """
        try:
            reply = self._ask_in_some_form(messages, schema, max_tokens, temperature, seed)
        except GraderAway as error:
            self.failure = str(error)
            raise
        self.failure = ""
        return reply

    def close(self) -> None:
        """Let the connections go."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _ask_in_some_form(
        self, messages: list[dict[str, str]], schema: dict[str, Any], max_tokens: int, temperature: float, seed: Any
    ) -> Reply:
        form, ignored = self.form, None
        while True:
            try:
                reply = self._post(messages, schema, form, max_tokens, temperature, seed)
            except FormRefused as error:
                if form is Form.TEXT:
                    raise EndpointRefuses(f"{self.endpoint.host} refuses the request ({error}).") from None
                form = form.next()
                continue
            if not is_formless(reply):
                self.form = form
                return reply
            if ignored is not None or form is Form.OBJECT:
                return ignored or reply
            # an endpoint that heeds schemas can't reply so; it may heed the other way to ask for JSON
            form, ignored = Form.OBJECT, reply

    def _post(
        self,
        messages: list[dict[str, str]],
        schema: dict[str, Any],
        form: Form,
        max_tokens: int,
        temperature: float,
        seed: int | None,
    ) -> Reply:
        """Send one request, again without a parameter that the endpoint doesn't know; FormRefused if it is the form."""
        began = perf_counter()
        for _ in range(3):
            options: dict[str, Any] = {self._limit_name: max_tokens}
            if self._takes_temperature:
                options["temperature"] = temperature
            if seed is not None:
                options["seed"] = seed
            if form is not Form.TEXT:
                options["response_format"] = response_format(schema, form)
            try:
                completion = self._send(messages, options)
            except FormRefused as error:
                if self._limit_name == "max_tokens" and "max_completion_tokens" in str(error):
                    self._limit_name = "max_completion_tokens"
                elif self._takes_temperature and "temperature" in str(error):
                    self._takes_temperature = False
                else:
                    raise
                continue
            return self._reply(completion, form, perf_counter() - began)
        raise FormRefused("it takes neither of our parameters")

    def _send(self, messages: list[dict[str, str]], options: dict[str, Any]) -> Completion:
        import openai

        host = self.endpoint.host
        try:
            answer = self._connection().chat.completions.with_raw_response.create(
                model=self.endpoint.model,
                messages=messages,  # type: ignore[arg-type]
                **options,
            )
            body = answer.text
        except openai.APITimeoutError:
            raise GraderAway(f"{host} did not answer within {self.endpoint.timeout:g} s.") from None
        except openai.APIConnectionError as error:
            raise GraderAway(f"{host} can't be reached ({type(error.__cause__ or error).__name__}).") from None
        except NotPublic as error:
            raise EndpointRefuses(str(error)) from None
        except openai.APIStatusError as error:
            raise self._named(error) from None
        try:
            return Completion.model_validate_json(body)
        except ValidationError:
            raise GraderAway(
                f"{host} answered with something other than a chat completion; check its address."
            ) from None

    def _named(self, error: "openai.APIStatusError") -> Exception:
        """Return what an HTTP status means to us."""
        host, status = self.endpoint.host, error.status_code
        said = self.scrubbed(error.response.text)[:2000].lower()
        if status == 413 or (status in (400, 422) and any(words in said for words in TOO_LONG)):
            return PromptTooLong()
        if status in (400, 415, 422, 501):
            return FormRefused(f"status {status}: {said[:300]}")
        if status in (401, 403):
            return EndpointRefuses(f"{host} refuses the key (status {status}).")
        if status == 404:
            return EndpointRefuses(
                f"{host} knows no model {self.endpoint.model}, or its address is wrong (status 404)."
            )
        if status == 429:
            return GraderAway(
                f"{host} is busy or its quota is used up (status 429).", retry_after(error.response.headers)
            )
        if status >= 500:
            return GraderAway(f"{host} is in trouble (status {status}).", retry_after(error.response.headers))
        return EndpointRefuses(f"{host} refuses the request (status {status}).")

    def _reply(self, completion: Completion, form: Form, seconds: float) -> Reply:
        choice = completion.choices[0] if completion.choices else Choice(finish_reason="no choices")
        usage = completion.usage or Usage()
        return Reply(
            text=self.scrubbed(choice.message.content or ""),
            form=form,
            finish_reason=(choice.finish_reason or "")[:40],
            tokens_in=usage.prompt_tokens,
            tokens_out=usage.completion_tokens,
            seconds=seconds,
            refusal=self.scrubbed(choice.message.refusal or ""),
        )

    def scrubbed(self, text: str) -> str:
        """Return a text of the endpoint's as it can be kept: without our key, should it repeat it, and without NUL."""
        key = self.endpoint.api_key.get_secret_value()
        # what is shorter is no secret, and would be found in the middle of ordinary words
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # which PostgreSQL does not keep
        return text.replace(key, "[key]") if len(key) >= SHORTEST_SECRET else text

    def _connection(self) -> "openai.OpenAI":
        import openai

        endpoint = self.endpoint
        with self._lock:
            if self._client is None or self._connected_to != endpoint:
                self._client = openai.OpenAI(
                    base_url=endpoint.base_url,
                    api_key=endpoint.api_key.get_secret_value(),
                    timeout=endpoint.timeout,
                    max_retries=RETRIES,
                    http_client=public_client(endpoint.timeout) if endpoint.public_only else None,
                )
                self._connected_to = endpoint
            return self._client


def response_format(schema: dict[str, Any], form: Form) -> dict[str, Any]:
    """Return what asks for a form."""
    if form is Form.OBJECT:
        return {"type": "json_object"}
    asked = schema if form is Form.SCHEMA else without_lengths(schema)
    return {"type": "json_schema", "json_schema": {"name": "verdicts", "strict": True, "schema": asked}}


def without_lengths(schema: Any) -> Any:
    """Return a schema without its limits on lengths."""
    if isinstance(schema, dict):
        return {name: without_lengths(part) for name, part in schema.items() if name not in ("maxLength", "maxItems")}
    return schema


def is_formless(reply: Reply) -> bool:
    """Tell whether a whole reply isn't JSON although JSON was asked for in some way."""
    if reply.form is Form.TEXT or reply.finish_reason != "stop" or reply.refusal or not reply.text.strip():
        return False
    try:
        json.loads(reply.text)
    except ValueError:
        return True
    return False


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, at most a day; None without one, or if it is a date."""
    try:
        return min(86_400.0, max(0.0, float(headers["retry-after"])))
    except (KeyError, ValueError):
        return None
