"""The worker: grades answers in the background, after they were stored.

The queue is in the store. An answer is claimed for a lease; what a crash interrupts is claimed again, by any process's
worker, when the lease has run out, and no answer is graded by two workers at once. A grading that fails is noted with
its error and tried again later, with growing pauses; nothing is scored until a grader has spoken.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter

from webapp.feedback.grading import grade as grade_answer
from webapp.feedback.verdict import Feedback
from webapp.store import AnswerToGrade, Store

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
POLL_SECONDS = 5.0  # answers of other processes come without a wake-up
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
MOST_TRIES = 100  # with these pauses about four days


@dataclass
class Job:
    """Something else to do now and then on the worker's thread."""

    period: timedelta
    run: Callable[[], object]
    due_at: datetime


class Worker:
    """A background thread that grades what waits in a store."""

    def __init__(
        self,
        store: Store,
        grade: Callable[[str, str], Feedback] = grade_answer,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Make a worker; it does nothing until it is started.

        Args:
            store: Where answers wait and grades are kept.
            grade: What grades an answer, from a question's id and the answer's text.
            clock: The present moment, timezone-aware.
        """
        self._store = store
        self._grade = grade
        self._clock = clock
        self._jobs: list[Job] = []
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def every(self, seconds: float, run: Callable[[], object]) -> None:
        """Run something on the worker's thread, at once and then every so many seconds; its errors are logged."""
        self._jobs.append(Job(timedelta(seconds=seconds), run, self._clock()))
        self.wake()

    def start(self) -> None:
        """Start the thread; nothing happens if it runs already."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._work, name="grading", daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Let the grading in hand finish, at most `timeout` seconds, and end the thread."""
        self._stopping.set()
        self.wake()
        if self._thread is not None:
            self._thread.join(timeout)
            self._thread = None

    def wake(self) -> None:
        """Say that an answer may be waiting."""
        self._awake.set()

    def run_due(self) -> int:
        """Run the jobs that are due, grade all answers that are due, and return how many were taken."""
        for job in self._jobs:
            if job.due_at <= self._clock():
                job.due_at = self._clock() + job.period
                try:
                    job.run()
                except Exception:
                    log.exception("A periodic job failed; it runs again in %s", job.period)
        taken = 0
        while not self._stopping.is_set():
            claimed = self._store.claim_answers(limit=1, now=self._clock(), lease=LEASE)
            if not claimed:
                break
            self._grade_one(claimed[0])
            taken += 1
        return taken

    def _grade_one(self, answer: AnswerToGrade) -> None:
        started = perf_counter()
        try:
            feedback = self._grade(answer.question_id, answer.text)
        except Exception as error:
            log.exception("Answer %s could not be graded (try %d)", answer.answer_id, answer.tries)
            retry_at = None if answer.tries >= MOST_TRIES else self._clock() + pause_after(answer.tries)
            self._store.save_grade_failure(
                answer.answer_id, error=f"{type(error).__name__}: {error}"[:500], retry_at=retry_at
            )
            return
        self._store.save_grade(
            answer.answer_id,
            kind=feedback.grader.kind,
            model=feedback.grader.model,
            version=feedback.grader.version,
            score=feedback.score,
            verdicts=[asdict(verdict) for verdict in feedback.verdicts],
            gate=feedback.gate._asdict() if feedback.gate else None,
            flags=feedback.flags,
            seconds=perf_counter() - started,
            now=self._clock(),
        )

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                self.run_due()
            except Exception:
                # the store may be away for a while; the answers are safe in it
                log.exception("The worker could not reach the store; it tries again")
            self._awake.wait(self._seconds_to_wait())

    def _seconds_to_wait(self) -> float:
        next_job = min((job.due_at for job in self._jobs), default=None)
        until_job = POLL_SECONDS if next_job is None else (next_job - self._clock()).total_seconds()
        return min(POLL_SECONDS, max(0.05, until_job))


def pause_after(tries: int) -> timedelta:
    """Return how long to wait after so many failed tries: 5 s, doubling up to an hour."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries - 1, 20))
