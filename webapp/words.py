"""What errors say to people, in one place.

Each known error has one sentence that says what happened, what was kept, and what to do. What is not listed here is a
fault of ours: it is logged, and people read a plain apology.
"""

from sandbox import BadInput, EngineFailed
from sandbox.jail import JailUnavailable
from webapp.feedback import OwnModelRefused
from webapp.identity import NotAnInterviewer, SignedOut
from webapp.interview import (
    AlreadyJudging,
    AnswerTooLong,
    AttemptClosed,
    BadPlan,
    CodeTooLong,
    DraftConflict,
    NoCodeHere,
    NoSuchHint,
    NotSubmitted,
    PracticeOnly,
    RunIsEvidence,
    RunStandsElsewhere,
    SessionOver,
)
from webapp.password import ReviewClosed, TooManyFailures, WrongPassword
from webapp.review import BadDecision, ReasonMissing
from webapp.store import NotFound

SORRY = (
    "Something went wrong on our side. Your text is kept; load the page again, and if it happens again, tell the host."
)

WORDS: dict[type[Exception], str] = {
    SignedOut: "Your visit has ended. Load the page again; what you saved is still there.",
    NotAnInterviewer: "Only interviewers may see this. Sign in as interviewer first.",
    NotFound: "There is nothing here for you: the link is wrong, or it belongs to somebody else.",
    AttemptClosed: "This answer is submitted and can't be changed any more.",
    DraftConflict: "This answer was changed in another tab or on another device.",
    CodeTooLong: "This code is too long: at most 100,000 characters are kept. Shorten it and it is saved again.",
    NoCodeHere: "This exercise has no code to write. Choose one of the code exercises.",
    AlreadyJudging: "Your last code is still being judged. Wait for it, or stop it.",
    AnswerTooLong: "This answer is too long: at most 100,000 characters are kept. Shorten it and it is saved again.",
    NotSubmitted: "This answer isn't submitted yet; its report appears once it is.",
    PracticeOnly: "An assessment has no pause, no hints and no extra time.",
    NoSuchHint: "There are no more hints for this question.",
    RunIsEvidence: "This run stands beside a submitted answer, so it can't be deleted.",
    RunStandsElsewhere: "This run stands beside another answer already. Run it again here to use it for this one.",
    SessionOver: "This session is over. Start another one on the home page.",
    BadPlan: "These questions can't be asked in one session. Choose on the home page.",
    BadDecision: "These verdicts don't fit this attempt's rubric. Load the page again and decide once more.",
    WrongPassword: "That is not the interviewers' password. Check it and try again.",
    TooManyFailures: "Too many wrong passwords. Wait 15 minutes, then try again.",
    ReviewClosed: "The review is closed: the host has set no INTERVIEWER_PASSWORD.",
}


def words(error: Exception) -> str | None:
    """Return the sentence for a known error, None for one that nobody expected."""
    if isinstance(error, BadInput | EngineFailed | JailUnavailable | OwnModelRefused):
        return str(error)
    if isinstance(error, ReasonMissing):
        return f"Nothing was saved yet: say why you decide against the grader on: {error}."
    for kind, sentence in WORDS.items():
        if isinstance(error, kind):
            return sentence
    return None
