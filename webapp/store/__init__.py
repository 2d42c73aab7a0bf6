"""The store: SQLite or PostgreSQL behind one object, `Store(url)`."""

from webapp.store.errors import NameTaken, NotFound, StoreNotReady
from webapp.store.records import AnswerToGrade, AttemptRecord, CallOfGrade, Grade, ReviewedAnswer
from webapp.store.sessions import Held
from webapp.store.store import Store
from webapp.store.tables import (
    OWN_MODEL,
    Answer,
    Attempt,
    CodeDraft,
    Draft,
    GraderCall,
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
    "OWN_MODEL",
    "Answer",
    "AnswerToGrade",
    "Attempt",
    "AttemptRecord",
    "CallOfGrade",
    "CodeDraft",
    "Draft",
    "Grade",
    "GradeState",
    "GraderCall",
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
