"""The tables. A change here needs a migration (`migrations/versions/`); a test compares the two.

Ids are random (122 bits), so that one can't be guessed from another. Nothing is ever deleted or overwritten that a
person wrote: drafts are kept by revision, grades by the time they were asked for.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Index, MetaData, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from webapp.store.columns import Shaped, UtcDateTime, named

Verdicts = tuple[dict[str, Any], ...]  # each: criterion, verdict, quote, start, end, reason


OWN_MODEL = "own_llm"
"""The kind of a grade that a candidate had made by a model of their own."""


class Role(StrEnum):
    """What a person may do."""

    CANDIDATE = "candidate"
    INTERVIEWER = "interviewer"


class UserKind(StrEnum):
    """How a person signs in: the laptop's one person, a guest's cookie, a password, or Hugging Face."""

    LOCAL = "local"
    GUEST = "guest"
    PASSWORD = "password"  # noqa: S105
    HF = "hf"


class Mode(StrEnum):
    """The rules of a session."""

    PRACTICE = "practice"
    ASSESSMENT = "assessment"


class Submitter(StrEnum):
    """Who submitted an attempt."""

    CANDIDATE = "candidate"
    DEADLINE = "deadline"


class GradeState(StrEnum):
    """Where a grade stands: waiting for a grader, done, or given up."""

    PENDING = "pending"
    GRADED = "graded"
    FAILED = "failed"


class HintTaken(BaseModel):
    """A hint as it was given; `number` counts from 1, `cost` is in points of the 100."""

    model_config = ConfigDict(frozen=True)

    number: int
    text: str
    cost: int
    taken_at: datetime


def new_id() -> str:
    """Return a random id of 32 hex digits."""
    return uuid4().hex


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


class Table(SQLModel):
    """Base of the tables; constraints have names, so that a later migration can drop one."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class User(Table, table=True):
    """A person. `subject` identifies them to their kind of sign-in; guests have none."""

    __table_args__ = (UniqueConstraint("kind", "subject"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    kind: UserKind = Field(sa_type=named(UserKind))
    subject: str | None = Field(default=None, max_length=200)
    name: str = Field(max_length=200)
    roles: tuple[Role, ...] = Field(sa_type=Shaped(tuple[Role, ...]))
    password_hash: str | None = Field(default=None, max_length=200, repr=False)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class InterviewSession(Table, table=True):
    """One sitting: a plan of questions in a mode. It ends with its last question or when the candidate ends it."""

    __tablename__ = "session"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    user_id: str = Field(foreign_key="user.id", index=True, max_length=32)
    mode: Mode = Field(sa_type=named(Mode))
    question_ids: tuple[str, ...] = Field(sa_type=Shaped(tuple[str, ...]))
    started_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    released_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Attempt(Table, table=True):
    """One question in a session. `deadline` is absolute; a pause or an extension moves it."""

    __table_args__ = (UniqueConstraint("session_id", "position"), Index(None, "submitted_at", "deadline"))

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    session_id: str = Field(foreign_key="session.id", max_length=32)
    question_id: str = Field(max_length=32)
    position: int
    opened_at: datetime = Field(sa_type=UtcDateTime)
    deadline: datetime = Field(sa_type=UtcDateTime)
    paused_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    paused_seconds: float = 0.0
    extended_seconds: float = 0.0
    hints: tuple[HintTaken, ...] = Field(default=(), sa_type=Shaped(tuple[HintTaken, ...]))
    submitted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    submitted_by: Submitter | None = Field(default=None, sa_type=named(Submitter))

    @property
    def seconds_allowed(self) -> float:
        """The question's time, without pauses and extensions."""
        return (self.deadline - self.opened_at).total_seconds() - self.paused_seconds - self.extended_seconds

    @property
    def hint_cost(self) -> int:
        """Points of the 100 that the hints taken cost."""
        return sum(hint.cost for hint in self.hints)

    def seconds_left(self, now: datetime) -> float:
        """Return the time until the deadline, never below 0; it stands still while paused."""
        return max(0.0, (self.deadline - (self.paused_at or now)).total_seconds())

    def seconds_used(self, now: datetime) -> float:
        """Return the time worked until it was submitted, or until now, without pauses."""
        until = self.submitted_at or self.paused_at or now
        return max(0.0, (until - self.opened_at - timedelta(seconds=self.paused_seconds)).total_seconds())


class Draft(Table, table=True):
    """A saved state of an attempt's text; revisions count from 1."""

    attempt_id: str = Field(foreign_key="attempt.id", primary_key=True, max_length=32)
    revision: int = Field(primary_key=True)
    text: str = Field(sa_type=Text)
    saved_at: datetime = Field(sa_type=UtcDateTime)


class Answer(Table, table=True):
    """What was submitted, once an attempt; `late` when it came after the deadline, within the grace."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    attempt_id: str = Field(foreign_key="attempt.id", unique=True, max_length=32)
    text: str = Field(sa_type=Text)
    submitted_at: datetime = Field(sa_type=UtcDateTime)
    late: bool = False


class GradeRow(Table, table=True):
    """One grading of an answer, asked for at `created_at`; while pending, a worker may take it from `due_at` on.

    `criteria_read` of `criteria_count` says how far a grader is, where it reads one after the other.
    """

    __tablename__ = "grade"
    __table_args__ = (Index(None, "state", "due_at"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    answer_id: str = Field(foreign_key="answer.id", index=True, max_length=32)
    state: GradeState = Field(default=GradeState.PENDING, sa_type=named(GradeState))
    created_at: datetime = Field(sa_type=UtcDateTime)
    due_at: datetime = Field(sa_type=UtcDateTime)
    tries: int = 0
    error: str | None = Field(default=None, sa_type=Text)
    kind: str | None = Field(default=None, max_length=40)
    model: str | None = Field(default=None, max_length=200)
    version: str | None = Field(default=None, max_length=200)
    score: float | None = None
    verdicts: Verdicts = Field(default=(), sa_type=Shaped(Verdicts))
    gate: dict[str, Any] | None = Field(default=None, sa_type=Shaped(dict[str, Any]))
    flags: tuple[str, ...] = Field(default=(), sa_type=Shaped(tuple[str, ...]))
    seconds: float | None = None
    graded_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    criteria_read: int | None = None
    criteria_count: int | None = None


class GraderCall(Table, table=True):
    """One call of a language model: what was asked, what came back, and what it cost.

    Calls of one `key` ask the same of the same model. `error` says why the reply could not be used, None if it could.
    """

    __tablename__ = "grader_call"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    key: str = Field(index=True, max_length=64)
    host: str = Field(max_length=200)
    model: str = Field(max_length=200)
    messages: tuple[dict[str, str], ...] = Field(sa_type=Shaped(tuple[dict[str, str], ...]))
    reply: str = Field(sa_type=Text)
    form: str = Field(max_length=16)
    finish_reason: str = Field(max_length=40)
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None
    seconds: float
    error: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class GradeCall(Table, table=True):
    """That a grade rests on a call; `cached` if the call had been made, and paid, for an earlier one."""

    __tablename__ = "grade_call"

    grade_id: str = Field(foreign_key="grade.id", primary_key=True, max_length=32)
    call_id: str = Field(foreign_key="grader_call.id", primary_key=True, max_length=32)
    cached: bool


class ReviewedVerdict(BaseModel):
    """What an interviewer decided on one criterion; `reason` is theirs and may be empty."""

    model_config = ConfigDict(frozen=True)

    criterion: str
    verdict: Literal["met", "unmet", "cannot_assess"]
    reason: str = ""


class Review(Table, table=True):
    """An interviewer's verdicts on an attempt; a changed mind is one more row, and the newest counts."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    attempt_id: str = Field(foreign_key="attempt.id", index=True, max_length=32)
    reviewer_id: str = Field(foreign_key="user.id", max_length=32)
    verdicts: tuple[ReviewedVerdict, ...] = Field(sa_type=Shaped(tuple[ReviewedVerdict, ...]))
    created_at: datetime = Field(sa_type=UtcDateTime)


class Run(Table, table=True):
    """One use of the sandbox: what was set, what came out, and the receipt by which it can be repeated."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    user_id: str = Field(foreign_key="user.id", index=True, max_length=32)
    attempt_id: str | None = Field(default=None, foreign_key="attempt.id", index=True, max_length=32)
    kind: str = Field(max_length=40)
    settings: dict[str, Any] = Field(sa_type=Shaped(dict[str, Any]))
    figures: dict[str, Any] = Field(sa_type=Shaped(dict[str, Any]))
    receipt: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class CodeDraft(Table, table=True):
    """A saved state of somebody's code for an exercise, beside an attempt or without one; the newest counts."""

    __tablename__ = "code_draft"
    __table_args__ = (Index(None, "user_id", "exercise", "attempt_id"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    user_id: str = Field(foreign_key="user.id", max_length=32)
    exercise: str = Field(max_length=32)
    attempt_id: str | None = Field(default=None, foreign_key="attempt.id", max_length=32)
    source: str = Field(sa_type=Text)
    saved_at: datetime = Field(sa_type=UtcDateTime)


class SignInFailure(Table, table=True):
    """One failed sign-in, for the rate limit; the address is held as a hash only."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (Index(None, "address_hash", "at"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    address_hash: str = Field(max_length=64)
    at: datetime = Field(sa_type=UtcDateTime)
