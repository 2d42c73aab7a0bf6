"""What the pages show: plain and frozen, with nothing in it that the candidate may not see yet.

Times are aware UTC; what ends in `_seconds`, or begins with `seconds`, is in seconds.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from content import Catalog, Category, Criterion, Level, Question
from webapp.store import Attempt, Grade, InterviewSession, Mode, NotFound, Submitter


class FeedbackState(StrEnum):
    """Where the feedback on a submitted answer stands."""

    WAITING = "waiting"
    GRADED = "graded"
    FAILED = "failed"
    NOT_RELEASED = "not released"
    ASSESSMENT_UNDERWAY = "assessment underway"


@dataclass(frozen=True, kw_only=True)
class AttemptView:
    """One question in a session: `position` of `count`. `seconds_left` is 0 once submitted."""

    attempt_id: str
    session_id: str
    mode: Mode
    position: int
    count: int
    session_over: bool
    question_id: str
    title: str
    opened_at: datetime
    deadline: datetime
    submitted_at: datetime | None
    submitted_by: Submitter | None
    seconds_allowed: float
    seconds_used: float
    seconds_left: float
    paused: bool
    paused_seconds: float
    extended_seconds: float

    @property
    def submitted(self) -> bool:
        """Whether there is an answer."""
        return self.submitted_at is not None


@dataclass(frozen=True, kw_only=True)
class SessionView:
    """A session and the attempt that it stands at."""

    session_id: str
    mode: Mode
    question_ids: tuple[str, ...]
    started_at: datetime
    ended_at: datetime | None
    attempt: AttemptView

    @property
    def attempt_id(self) -> str:
        """The attempt that the session stands at."""
        return self.attempt.attempt_id


@dataclass(frozen=True, kw_only=True)
class HintView:
    """A hint that was taken; `number` counts from 1, `cost` is in points of the 100."""

    number: int
    text: str
    cost: int


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A draft that is safe: the revision to send with the next one."""

    revision: int
    saved_at: datetime


@dataclass(frozen=True, kw_only=True)
class RoomView(AttemptView):
    """The interview room.

    The browser counts down from (`deadline`, `server_now`); while `paused`, it shows `seconds_left`. `revision` is 0
    before the first draft, `next_hint_cost` None when no hint can be had.
    """

    statement: str
    level: Level
    band: str
    category: Category
    minutes: int
    server_now: datetime
    text: str
    revision: int
    saved_at: datetime | None
    hints: tuple[HintView, ...]
    hints_left: int
    next_hint_cost: int | None


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A session to go on with; without `attempt` its next question is to be opened."""

    session_id: str
    mode: Mode
    started_at: datetime
    done: int
    count: int
    attempt: AttemptView | None


@dataclass(frozen=True, kw_only=True)
class PastAttempt(AttemptView):
    """A submitted attempt. `score` is the grader's, `points` what is left of it after hints; both None until shown."""

    state: FeedbackState
    score: float | None
    points: float | None
    hint_cost: int
    grader_kind: str | None
    grader_version: str | None

    @property
    def shown(self) -> bool:
        """Whether rubric, model answer and feedback may be seen."""
        return self.state in (FeedbackState.WAITING, FeedbackState.GRADED, FeedbackState.FAILED)


@dataclass(frozen=True, kw_only=True)
class HomeView:
    """A candidate's own sessions and attempts, newest first."""

    unfinished: tuple[Unfinished, ...]
    past: tuple[PastAttempt, ...]


@dataclass(frozen=True, kw_only=True)
class CriterionReport:
    """A criterion and the verdict on it; `verdict` is None until graded, `start` and `end` are characters."""

    criterion: Criterion
    verdict: str | None
    quote: str
    start: int | None
    end: int | None
    reason: str
    advice: str
    uncertain: bool


@dataclass(frozen=True, kw_only=True)
class ReportView(PastAttempt):
    """A submitted attempt in full; grades, criteria and model answer are empty while `state` withholds them.

    `grade` is the one that `criteria` and `score` come from, `gradings` are all that were finished, newest first.
    """

    answer_id: str
    answer: str
    late: bool
    hints: tuple[HintView, ...]
    grade: Grade | None
    gradings: tuple[Grade, ...]
    criteria: tuple[CriterionReport, ...]
    model_answer: str | None


def question_of(catalog: Catalog, question_id: str) -> Question:
    """Return a question; NotFound when the packs no longer have it."""
    try:
        return catalog.questions[question_id]
    except KeyError:
        raise NotFound(f"question {question_id}") from None


def title_of(catalog: Catalog, question_id: str) -> str:
    """Return a question's title, or its id when the packs no longer have it: an old attempt stays readable."""
    question = catalog.questions.get(question_id)
    return question.title if question else question_id


def attempt_view(catalog: Catalog, session: InterviewSession, attempt: Attempt, now: datetime) -> AttemptView:
    """Return an attempt as it stands."""
    return AttemptView(
        attempt_id=attempt.id,
        session_id=session.id,
        mode=session.mode,
        position=attempt.position,
        count=len(session.question_ids),
        session_over=session.ended_at is not None,
        question_id=attempt.question_id,
        title=title_of(catalog, attempt.question_id),
        opened_at=attempt.opened_at,
        deadline=attempt.deadline,
        submitted_at=attempt.submitted_at,
        submitted_by=attempt.submitted_by,
        seconds_allowed=attempt.seconds_allowed,
        seconds_used=attempt.seconds_used(now),
        seconds_left=0.0 if attempt.submitted_at else attempt.seconds_left(now),
        paused=attempt.paused_at is not None,
        paused_seconds=attempt.paused_seconds,
        extended_seconds=attempt.extended_seconds,
    )


def session_view(catalog: Catalog, session: InterviewSession, attempt: Attempt, now: datetime) -> SessionView:
    """Return a session as it stands at one of its attempts."""
    return SessionView(
        session_id=session.id,
        mode=session.mode,
        question_ids=session.question_ids,
        started_at=session.started_at,
        ended_at=session.ended_at,
        attempt=attempt_view(catalog, session, attempt, now),
    )


def hint_views(attempt: Attempt) -> tuple[HintView, ...]:
    """Return the hints taken."""
    return tuple(HintView(number=hint.number, text=hint.text, cost=hint.cost) for hint in attempt.hints)
