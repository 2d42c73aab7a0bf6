"""The worker: grades answers in the background, after they were stored.

The queue is in the store. An answer is claimed for a lease, which is renewed while it is graded; what a crash
interrupts is claimed again, by any process's worker, when the lease has run out, and no answer is graded by two workers
at once. A grading that fails is noted with its error and tried again later, with growing pauses; nothing is scored
until a grader has spoken.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter

from webapp.feedback.grading import grade as grade_answer
from webapp.feedback.llm import GraderAway, Progress
from webapp.feedback.verdict import Feedback
from webapp.store import AnswerToGrade, Store

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
RENEW_EVERY = timedelta(seconds=30)
POLL_SECONDS = 5.0  # answers of other processes come without a wake-up
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
MOST_TRIES = 100  # with these pauses about four days


class Stopping(Exception):
    """The worker is being stopped, so a grading in hand ends where it is."""


@dataclass
class Job:
    """Something else to do now and then, beside the grading."""

    period: timedelta
    run: Callable[[], object]
    due_at: datetime


class Worker:
    """Background threads that grade what waits in a store, and one for what is to be done now and then."""

    def __init__(
        self,
        store: Store,
        grade: Callable[[str, str, Progress], Feedback] = grade_answer,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        threads: int = 1,
    ) -> None:
        """Make a worker; it does nothing until it is started.

        Args:
            store: Where answers wait and grades are kept.
            grade: What grades an answer, from a question's id, the answer's text, and what to tell of its progress.
            clock: The present moment, timezone-aware.
            threads: How many answers are graded at the same time.
        """
        self._store = store
        self._grade = grade
        self._clock = clock
        self._count = threads
        self._jobs: list[Job] = []
        self._awake, self._job_added = threading.Event(), threading.Event()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._in_hand: set[str] = set()
        self._renewed_at = clock()

    def every(self, seconds: float, run: Callable[[], object]) -> None:
        """Run something at once and then every so many seconds; its errors are logged."""
        self._jobs.append(Job(timedelta(seconds=seconds), run, self._clock()))
        self._job_added.set()

    def start(self) -> None:
        """Start the threads; nothing happens if they run already."""
        if not self._threads:
            self._stopping.clear()
            self._threads = [
                threading.Thread(target=self._work, name="grading", daemon=True) for _ in range(self._count)
            ]
            self._threads.append(threading.Thread(target=self._tick, name="periodic jobs", daemon=True))
            for thread in self._threads:
                thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Let the grading in hand come to a halt, and end the threads.

        What hasn't halted after `timeout` seconds, such as a call that a model is slow to answer, is given back to the
        queue, where the next worker finds it at once.
        """
        self._stopping.set()
        self.wake()
        self._job_added.set()
        end = perf_counter() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - perf_counter()))
        self._threads = []
        while self._in_hand:
            self._give_back(self._in_hand.pop())

    def wake(self) -> None:
        """Say that an answer may be waiting."""
        self._awake.set()

    def run_due(self) -> int:
        """Run the jobs that are due, grade all answers that are due, and return how many were taken."""
        self._run_jobs()
        return self._grade_due()

    def _run_jobs(self) -> None:
        for job in self._jobs:
            if job.due_at <= self._clock():
                job.due_at = self._clock() + job.period
                try:
                    job.run()
                except Exception:
                    log.exception("A periodic job failed; it runs again in %s", job.period)

    def _grade_due(self) -> int:
        taken = 0
        while not self._stopping.is_set():
            claimed = self._store.claim_answers(limit=1, now=self._clock(), lease=LEASE)
            if not claimed:
                break
            if self._count > 1:
                self.wake()  # another thread may find the next one
            answer = claimed[0]
            self._in_hand.add(answer.answer_id)
            try:
                self._grade_one(answer)
            finally:
                self._in_hand.discard(answer.answer_id)
            taken += 1
        return taken

    def _grade_one(self, answer: AnswerToGrade) -> None:
        started = perf_counter()

        def progress(read: int, count: int) -> None:
            if self._stopping.is_set():
                raise Stopping
            self._store.save_progress(answer.answer_id, read=read, count=count)

        try:
            feedback = self._grade(answer.question_id, answer.text, progress)
        except Stopping:
            if answer.answer_id in self._in_hand:  # else it was given back meanwhile, and another may have it
                self._give_back(answer.answer_id)
            return
        except Exception as error:
            self._note_failure(answer, error)
            return
        save_feedback(self._store, answer.answer_id, feedback, seconds=perf_counter() - started, now=self._clock())

    def _give_back(self, answer_id: str) -> None:
        self._store.give_back(answer_id, now=self._clock())

    def _note_failure(self, answer: AnswerToGrade, error: Exception) -> None:
        pause = pause_after(answer.tries)
        if isinstance(error, GraderAway):
            log.warning("Answer %s waits (try %d): %s", answer.answer_id, answer.tries, error)
            sentence = str(error)
            pause = max(pause, timedelta(seconds=error.retry_after or 0))
        else:
            log.exception("Answer %s could not be graded (try %d)", answer.answer_id, answer.tries)
            sentence = f"{type(error).__name__}: {error}"
        retry_at = None if answer.tries >= MOST_TRIES else self._clock() + pause
        self._store.save_grade_failure(answer.answer_id, error=sentence[:500], retry_at=retry_at)

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                self._grade_due()
            except Exception:
                # the store may be away for a while; the answers are safe in it
                log.exception("The worker could not reach the store; it tries again")
            self._awake.wait(POLL_SECONDS)

    def _tick(self) -> None:
        while not self._stopping.is_set():
            self._job_added.clear()
            self._run_jobs()
            try:
                self._renew()
            except Exception:
                log.exception("The worker could not renew its leases; it tries again")
            self._job_added.wait(self._seconds_to_next_job())

    def _renew(self) -> None:
        if self._in_hand and self._renewed_at + RENEW_EVERY <= self._clock():
            self._renewed_at = self._clock()
            self._store.extend_claims(list(self._in_hand), until=self._clock() + LEASE)

    def _seconds_to_next_job(self) -> float:
        next_job = min((job.due_at for job in self._jobs), default=None)
        until_job = POLL_SECONDS if next_job is None else (next_job - self._clock()).total_seconds()
        return min(POLL_SECONDS, max(0.05, until_job))


def save_feedback(
    store: Store, answer_id: str, feedback: Feedback, *, seconds: float, now: datetime, beside_queue: bool = False
) -> None:
    """Keep the feedback on an answer as a grade; `beside_queue` leaves what waits in the queue alone."""
    store.save_grade(
        answer_id,
        kind=feedback.grader.kind,
        model=feedback.grader.model,
        version=feedback.grader.version,
        score=feedback.score,
        verdicts=[asdict(verdict) for verdict in feedback.verdicts],
        gate=feedback.gate._asdict() if feedback.gate else None,
        flags=feedback.flags,
        seconds=seconds,
        calls=feedback.calls,
        beside_queue=beside_queue,
        now=now,
    )


def pause_after(tries: int) -> timedelta:
    """Return how long to wait after so many failed tries: 5 s, doubling up to an hour."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries - 1, 20))
