"""Models that candidates bring for a visit: held in memory, used for their own answers, and forgotten.

A key is held by this process alone, under a name that only the visitor's browser has. It is in no database, log or
page, and gone after a sign-out, a restart, or half a day without use.
"""

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from pydantic import SecretStr

from content import Question
from webapp.feedback.grading import grade_with
from webapp.feedback.llm import KEYLESS, Client, Endpoint, GraderAway, LlmGrader, NotPublic, check_public_url
from webapp.feedback.worker import Stopping, save_feedback
from webapp.store import OWN_MODEL, Store

log = logging.getLogger(__name__)

MOST_KEPT = 200
KEPT_SECONDS = 12 * 3600.0  # since the last use
MOST_READINGS = 4  # at the same time, over all visitors
SHORTEST_KEY = 8  # a shorter one would be hidden in the middle of ordinary words


class OwnModelRefused(Exception):
    """A model can't be brought or used; the sentence says why."""


@dataclass(frozen=True)
class OwnReading:
    """How far a visitor's model is with an answer; `trouble` says why it ended without a grade."""

    answer_id: str
    read: int = 0
    count: int = 0
    trouble: str = ""
    done: bool = False


@dataclass
class Visit:
    """What a visitor brought."""

    endpoint: Endpoint
    used_at: float
    reading: OwnReading | None = None


class OwnModels:
    """The models of this process's visitors. Safe to share between threads."""

    def __init__(
        self,
        store: Store,
        *,
        allowed: str,
        personal: bool = False,
        timeout: float = 60.0,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without any.

        Args:
            store: Where grades are kept.
            allowed: `public`, `off`, or hosts separated by commas.
            personal: Whether the one person at this computer is the only visitor, who may name any address.
            timeout: Seconds after which a request is given up.
            seconds: The present moment in seconds.
        """
        self._store, self._personal, self._timeout, self._seconds = store, personal, timeout, seconds
        self._allowed = allowed.strip().lower()
        self._hosts = {host.strip() for host in self._allowed.split(",")}
        self._visits: OrderedDict[str, Visit] = OrderedDict()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: set[threading.Thread] = set()

    @property
    def open(self) -> bool:
        """Whether visitors may bring a model."""
        return self._personal or self._allowed != "off"

    def keep(self, visit: str, *, base_url: str, model: str, api_key: str) -> None:
        """Hold a model for a visit, instead of any before.

        Raises:
            OwnModelRefused: The host allows none, or not this address; or something is missing.
        """
        endpoint = self._checked(base_url.strip().rstrip("/"), model.strip(), api_key.strip())
        with self._lock:
            self._drop_old()
            self._visits[visit] = Visit(endpoint, self._seconds())
            while len(self._visits) > MOST_KEPT:
                self._visits.popitem(last=False)

    def endpoint(self, visit: str | None) -> Endpoint | None:
        """Return the model that a visitor brought, None if there is none."""
        with self._lock:
            self._drop_old()
            found = self._visits.get(visit or "")
            return found.endpoint if found else None

    def reading(self, visit: str | None, answer_id: str) -> OwnReading | None:
        """Return how far the visitor's model is with an answer, None if it doesn't read it."""
        with self._lock:
            found = self._visits.get(visit or "")
            reading = found.reading if found else None
            return reading if reading and reading.answer_id == answer_id else None

    def forget(self, visit: str | None) -> None:
        """Forget a visitor's model; a reading that is under way comes to its end."""
        with self._lock:
            self._visits.pop(visit or "", None)

    def grade(self, visit: str | None, answer_id: str, question: Question, answer: str) -> None:
        """Have an answer read by the visitor's model, in the background; the grade stands beside the host's.

        Raises:
            OwnModelRefused: The visitor brought none, it reads already, or too many do.
        """
        with self._lock:
            self._drop_old()
            found = self._visits.get(visit or "")
            if found is None or visit is None:
                raise OwnModelRefused("There is no model of yours any more. Enter it again; keys are not kept.")
            if found.reading and not found.reading.done:
                raise OwnModelRefused("Your model is reading an answer already. Wait until it is through.")
            if len(self._threads) >= MOST_READINGS:
                raise OwnModelRefused("Too many models read at the moment. Try again in a minute.")
            found.reading, found.used_at = OwnReading(answer_id), self._seconds()
            thread = threading.Thread(
                target=self._read,
                args=(found, answer_id, question, answer),
                name="own model",
                daemon=True,
            )
            self._threads.add(thread)
        thread.start()

    def close(self) -> None:
        """Forget every model, and end what is being read."""
        self._stopping.set()
        with self._lock:
            self._visits.clear()
            threads = list(self._threads)
        for thread in threads:
            thread.join(5)

    def _read(self, visit: Visit, answer_id: str, question: Question, answer: str) -> None:
        began = time.monotonic()
        client = Client(visit.endpoint)

        def tell(**told: object) -> None:
            with self._lock:
                if visit.reading:
                    visit.reading = replace(visit.reading, **told)  # type: ignore[arg-type]

        def progress(read: int, count: int) -> None:
            if self._stopping.is_set():
                raise Stopping
            tell(read=read, count=count)

        try:
            grader = LlmGrader(client, kind=OWN_MODEL, calls=self._store, progress=progress)
            feedback = grade_with(grader, question, answer)
            took, now = time.monotonic() - began, datetime.now(UTC)
            save_feedback(self._store, answer_id, feedback, seconds=took, now=now, beside_queue=True)
            tell(done=True)
        except GraderAway as error:
            tell(done=True, trouble=str(error))
        except Stopping:
            tell(done=True, trouble="The server was stopped meanwhile.")
        except Exception as error:
            log.error("A visitor's model could not grade: %s", type(error).__name__)
            tell(done=True, trouble="Something went wrong on our side while your model read the answer.")
        finally:
            client.close()
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _checked(self, base_url: str, model: str, api_key: str) -> Endpoint:
        if not self.open:
            raise OwnModelRefused("This host lets nobody bring a model.")
        try:
            parts = urlsplit(base_url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise OwnModelRefused("That is not an address.") from None
        if parts.scheme not in ("https", "http") or not host or len(base_url) > 200:
            raise OwnModelRefused("The address must look like https://api.openai.com/v1.")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise OwnModelRefused(
                "The address must hold no password, question mark or #. The key has a field of its own."
            )
        if not model or len(model) > 200 or not model.isprintable():
            raise OwnModelRefused("Name the model as the endpoint knows it, in at most 200 characters.")
        if api_key and (not SHORTEST_KEY <= len(api_key) <= 500 or not api_key.isascii() or not api_key.isprintable()):
            raise OwnModelRefused("That is not a key: 8 to 500 plain characters, or none.")
        public_only = not self._personal and host not in self._hosts
        if public_only:
            if self._allowed != "public":
                raise OwnModelRefused(f"This host allows models at {', '.join(sorted(self._hosts))} only.")
            try:
                check_public_url(base_url)
            except NotPublic as error:
                raise OwnModelRefused(str(error)) from None
        return Endpoint(
            base_url=base_url,
            model=model,
            api_key=SecretStr(api_key) if api_key else KEYLESS,
            timeout=self._timeout,
            public_only=public_only,
        )

    def _drop_old(self) -> None:
        oldest = self._seconds() - KEPT_SECONDS
        for visit in [name for name, kept in self._visits.items() if kept.used_at < oldest]:
            del self._visits[visit]


def new_visit() -> str:
    """Return an unguessable name for a visit."""
    return secrets.token_urlsafe(24)
