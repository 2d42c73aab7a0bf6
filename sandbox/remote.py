"""Answers from an OpenAI-compatible vision server, such as vLLM or SGLang, behind the engine's interface.

Only answers: what the server's pipeline does can't be seen or changed from here, and whatever needs that says so.
PyTorch isn't imported.
"""

from __future__ import annotations

import base64
import io
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import openai
from PIL import Image

from sandbox.errors import ServerFailed, ServerRefused, StagesNotVisible
from sandbox.images import ImageSource, open_images
from sandbox.request import PLACEHOLDER, Event, Reply, Request, answer_limit, check_prompt
from sandbox.settings import SandboxSettings
from sandbox.trace import Trace

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 120.0
"""Longest time without a word from the server; a long queue there keeps it silent too."""
RETRIES = 2
"""Tries after the first, with growing pauses, while the server can't be reached or is busy."""
TOGETHER = 16
"""Requests of one `answer_many` that are sent at once; the server batches them."""
EXACT_PIXELS = 2_000_000
"""Pictures up to this size are sent as PNG, larger ones as JPEG of quality 95, which is a tenth of the bytes."""
MOST_SAID = 300
"""Characters of the server's own words that are passed on."""


class RemoteEngine:
    """Answers prompts about pictures by asking a server. Everything else of an engine raises StagesNotVisible."""

    def __init__(self, settings: SandboxSettings, model: str) -> None:
        """Take the settings, and the model's name at the server."""
        key = settings.sandbox_api_key
        self.settings = settings
        self.model = model
        self.server = urlsplit(settings.sandbox_base_url).netloc.rpartition("@")[2]
        self._client = openai.OpenAI(
            base_url=settings.sandbox_base_url,
            api_key=key.get_secret_value() if key else "none",
            timeout=openai.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS),
            max_retries=RETRIES,
        )

    @property
    def description(self) -> str:
        """The model and where it runs, in words."""
        return f"{self.model} at {self.server}, answers only: the stages of a model on a server can't be seen from here"

    def answer(self, prompt: str, images: Sequence[ImageSource] = (), **options: Any) -> Reply:
        """Answer one prompt, as `Engine.answer` does.

        Raises:
            BadInput: Prompt, pictures or options are wrong, or the server doesn't take them.
            ServerFailed: The server can't be reached or is broken.
            StagesNotVisible: A stage is to be replaced, kept or set.
        """
        return self._answer(Request(prompt, images, **options), bool)

    def answer_many(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer several prompts, as `Engine.answer_many` does; they are sent together."""
        if not requests:
            return []
        with ThreadPoolExecutor(min(TOGETHER, len(requests)), "remote") as threads:
            return list(threads.map(lambda request: self._answer(request, bool), requests))

    def stream(self, prompt: str, images: Sequence[ImageSource] = (), **options: Any) -> Iterator[Event]:
        """Answer one prompt piece by piece, as `Engine.stream` does; closing the iterator ends it at the server."""
        return self._events(Request(prompt, images, **options))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __getattr__(self, name: str) -> Any:
        """Refuse in words whatever else an engine can do."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._not_visible()

    def _not_visible(self) -> StagesNotVisible:
        return StagesNotVisible(
            f"Answers come from {self.server}, so the model's stages can't be seen or changed here. The host can load "
            "a model into the sandbox instead: leave SANDBOX_BASE_URL empty."
        )

    def _answer(self, request: Request, stopped: Callable[[], bool]) -> Reply:
        for event in self._events(request):
            if event.reply:
                return event.reply
        raise ServerFailed(f"{self.server} ended its answer without a word. Try again.")

    def _events(self, request: Request) -> Iterator[Event]:
        if request.replace or request.keep or request.feature_layer is not None:
            raise self._not_visible()
        started = time.perf_counter()
        limit = answer_limit(request, None, self.settings)
        check_prompt(request.prompt, len(request.images), self.settings)
        images = open_images(
            request.images, max_images=self.settings.max_images, max_pixels=self.settings.max_image_pixels
        )
        seed = secrets.randbits(31) if request.seed is None else request.seed
        pieces: list[str] = []
        moments: list[float] = []
        finish, usage = "", None
        with self._in_words():
            chunks = self._client.chat.completions.create(
                model=self.model,
                messages=[{"role": "user", "content": message(request.prompt, images)}],
                max_tokens=limit,
                temperature=request.temperature,
                seed=seed,
                stream=True,
                stream_options={"include_usage": True},
            )
        with chunks, self._in_words():
            for chunk in chunks:
                usage = chunk.usage or usage
                for choice in chunk.choices[:1]:
                    finish = choice.finish_reason or finish
                    if piece := choice.delta.content or "":
                        piece = piece if pieces else piece.lstrip()
                    if piece:
                        pieces.append(piece)
                        moments.append(time.perf_counter())
                        if request.on_token:
                            request.on_token(piece)
                        yield Event(piece)
            if not finish:
                raise ServerFailed(f"{self.server} broke off its answer. Try again, or tell the host.")
        ended = time.perf_counter()
        counted = (usage.prompt_tokens, usage.completion_tokens) if usage else None
        trace = Trace(
            model=self.model,
            device=self.server,
            dtype="",
            stages=(),
            tokens=(),
            answer_pieces=(),
            finish="end" if finish == "stop" else "length" if finish == "length" else "stopped",
            seconds=ended - started,
            first_token_seconds=(moments[0] if moments else ended) - started,
            token_seconds=(),
            batch=1,
            seed=seed if request.temperature else None,
            patch_grid=None,
            image_mean=(),
            image_std=(),
            pixels=None,
            server=self.server,
            server_counts=counted,
        )
        yield Event("", Reply("".join(pieces), (), trace))

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Turn the client's errors into sentences."""
        server = self.server
        try:
            yield
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            raise ServerRefused(
                f"{server} refuses this prompt: {_said(error)}. Change the prompt or its pictures."
            ) from error
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise ServerFailed(f"{server} refuses the key. The host can set SANDBOX_API_KEY.") from error
        except openai.NotFoundError as error:
            raise ServerFailed(
                f"{server} doesn't know the model {self.model}, or the address isn't right ({_said(error)}). The host "
                "can set SANDBOX_MODEL and SANDBOX_BASE_URL."
            ) from error
        except openai.RateLimitError as error:
            raise ServerFailed(f"{server} is busy. Try again in a moment.") from error
        except openai.APITimeoutError as error:
            raise ServerFailed(
                f"{server} has said nothing for {SILENT_SECONDS:.0f} seconds. Try again, or tell the host."
            ) from error
        except openai.APIConnectionError as error:
            raise ServerFailed(f"{server} can't be reached. Try again in a moment, or tell the host.") from error
        except openai.APIStatusError as error:
            raise ServerFailed(f"{server} failed (status {error.status_code}). Try again, or tell the host.") from error
        except openai.APIError as error:
            raise ServerFailed(f"{server} broke off its answer ({_said(error)}). Try again.") from error


def message(prompt: str, images: Sequence[Image.Image]) -> list[Any]:
    """Return a prompt as the parts of an OpenAI chat message: each picture where its placeholder stands, or first.

    Args:
        prompt: Text with one placeholder for each picture, or none.
        images: Upright RGB pictures.
    """
    pictures = [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in images]
    if PLACEHOLDER not in prompt:
        return [*pictures, {"type": "text", "text": prompt}]
    head, *rest = prompt.split(PLACEHOLDER)
    parts: list[Any] = [{"type": "text", "text": head}]
    for picture, after in zip(pictures, rest, strict=True):
        parts += [picture, {"type": "text", "text": after}]
    return [part for part in parts if part["type"] != "text" or part["text"].strip()]


def open_remote(settings: SandboxSettings, progress: Callable[[str], None]) -> RemoteEngine:
    """Ask the server which models it has, and return the engine.

    Raises:
        ServerFailed: The server can't be reached, refuses the key, or doesn't have the model.
    """
    name = settings.sandbox_model.strip()
    engine = RemoteEngine(settings, name)
    progress(f"Asking {engine.server} for its models")
    try:
        with engine._in_words():
            served = [model.id for model in engine._client.models.list()]
    except ServerFailed as error:
        if not (name and isinstance(error.__cause__, openai.NotFoundError)):  # some have no list
            raise
        served = [name]
    if name and name not in served:
        raise ServerFailed(
            f"{engine.server} has no model {name}; it has {', '.join(served)}. Set SANDBOX_MODEL to one."
        )
    if not served:
        raise ServerFailed(f"{engine.server} serves no model. Start one there, or set SANDBOX_MODEL.")
    engine.model = name or served[0]
    progress(f"Ready: {engine.description}")
    return engine


def _data_url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    kind = "png" if image.width * image.height <= EXACT_PIXELS else "jpeg"
    image.save(buffer, kind, quality=95)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _said(error: openai.APIError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    said = " ".join(str(body.get("message") or error.message).split())
    return (said if len(said) <= MOST_SAID else said[: MOST_SAID - 1] + "…").rstrip(".")
