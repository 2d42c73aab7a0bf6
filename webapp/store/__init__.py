"""The store: SQLite or PostgreSQL behind one object, `Store(url)`."""

from webapp.store.errors import NameTaken, NotFound, StoreNotReady
from webapp.store.records import AnswerToGrade, AttemptRecord, Grade, ReviewedAnswer
from webapp.store.sessions import Held
from webapp.store.store import Store
from webapp.store.tables import (
    Answer,
    Attempt,
    Draft,
    GradeState,
    HintTaken,
    InterviewSession,
    Mode,
    ReviewedVerdict,
    Role,
    Run,
    Submitter,
    User,
    UserKind,
)

__all__ = [
    "Answer",
    "AnswerToGrade",
    "Attempt",
    "AttemptRecord",
    "Draft",
    "Grade",
    "GradeState",
    "Held",
    "HintTaken",
    "InterviewSession",
    "Mode",
    "NameTaken",
    "NotFound",
    "ReviewedAnswer",
    "ReviewedVerdict",
    "Role",
    "Run",
    "Store",
    "StoreNotReady",
    "Submitter",
    "User",
    "UserKind",
]
