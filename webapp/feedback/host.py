"""The grader of a host: the coverage estimate, an endpoint's language model, or one on this machine."""

import time
from functools import cache
from typing import NamedTuple

from webapp.feedback.coverage import CoverageGrader
from webapp.feedback.llm import (
    CallLog,
    Client,
    GraderAway,
    LlmGrader,
    LlmSettings,
    LocalClient,
    LocalModel,
    MemoryLog,
    Progress,
)
from webapp.feedback.llm.grader import unwatched
from webapp.feedback.verdict import Grader

LLM_THREADS = 4  # answers read at the same time; an endpoint's time is waiting


class Health(NamedTuple):
    """How a grader is: `state` is `ready`, or what keeps it from being so; `sentence` is for people."""

    kind: str
    model: str
    state: str
    sentence: str


@cache
def coverage_grader() -> CoverageGrader:
    """Return the process's coverage grader."""
    return CoverageGrader()


class HostGrader:
    """What the settings name as the grader of every answer."""

    def __init__(self, settings: LlmSettings) -> None:
        """Remember the settings; nothing is started before `start` or `grader`."""
        self._settings = settings
        self._memory = MemoryLog()
        self._client: Client | None = None
        self._local: LocalModel | None = None
        if settings.llm_gguf:
            self._local = LocalModel(settings.llm_gguf, context=settings.llm_context, timeout=settings.local_seconds)
            self._client = LocalClient(self._local)
        elif endpoint := settings.llm_endpoint:
            self._client = Client(endpoint)

    @property
    def kind(self) -> str:
        """The grader's kind."""
        return "llm" if self._client else "coverage"

    @property
    def threads(self) -> int:
        """How many answers can sensibly be graded at the same time."""
        return LLM_THREADS if self._client and not self._local else 1

    def start(self) -> None:
        """Start the model that runs on this machine, if it is one."""
        if self._local:
            self._local.start()

    def wait_until_ready(self) -> None:
        """Return once the model that runs on this machine is ready; GraderAway if it can't be started."""
        self.start()
        while self._local and self._local.state != "ready":
            if self._local.state in ("failed", "restarting"):
                raise GraderAway(self._local.progress)
            time.sleep(0.1)

    def close(self) -> None:
        """Let go of connections, and end the model that runs on this machine."""
        if self._client:
            self._client.close()
        if self._local:
            self._local.stop()

    def grader(self, calls: CallLog | None = None, progress: Progress = unwatched) -> Grader:
        """Return the grader.

        Args:
            calls: Where calls of a language model are kept and found again; by default in this process's memory.
            progress: Told how many of how many criteria are read.
        """
        if self._client is None:
            return coverage_grader()
        self.start()
        return LlmGrader(
            self._client,
            calls=calls if calls is not None else self._memory,
            criteria_per_call=self._settings.llm_criteria_per_call,
            second_sample=self._settings.llm_second_sample,
            progress=progress,
        )

    def health(self) -> Health:
        """Return how the grader is, by what is known without asking it."""
        if self._local:
            sentence = self._local.progress
            if self._local.state == "ready" and self._client and self._client.failure:
                sentence = self._client.failure
            return Health("llm", self._local.model, self._local.state, sentence)
        if self._client:
            failure = self._client.failure
            sentence = failure or f"{self._client.model} at {self._client.endpoint.host} grades."
            return Health("llm", self._client.model, "failing" if failure else "ready", sentence)
        return Health("coverage", coverage_grader().model, "ready", "The embedded coverage estimate grades.")
