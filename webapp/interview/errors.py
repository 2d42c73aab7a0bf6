"""What the rules refuse, as facts; a page turns them into words."""


class BadPlan(Exception):
    """A session needs one or more questions, each known and named once."""


class AttemptClosed(Exception):
    """The attempt is submitted or its time is over; nothing can change any more."""


class DraftConflict(Exception):
    """The text was changed elsewhere since it was read; both versions are there to choose from."""

    def __init__(self, current_text: str, current_revision: int) -> None:
        self.current_text, self.current_revision = current_text, current_revision
        super().__init__(f"revision {current_revision} was saved since")


class AnswerTooLong(Exception):
    """The text is over the limit; it is refused as a whole, never cut."""

    def __init__(self, length: int, limit: int) -> None:
        self.length, self.limit = length, limit
        super().__init__(f"{length} characters, {limit} fit")


class PracticeOnly(Exception):
    """An assessment has no hints, no pause and no extension."""


class NoSuchHint(Exception):
    """The question has no hint of that number, or those before it were not taken."""


class NotSubmitted(Exception):
    """The attempt is still open, so there is no report of it."""


class SessionOver(Exception):
    """The session has no further question."""


class RunIsEvidence(Exception):
    """The run stands beside a submitted answer, so it stays as it is."""


class RunStandsElsewhere(Exception):
    """The run stands beside another attempt already."""


class NoCodeHere(Exception):
    """The exercise isn't one of code, or there is no such exercise."""


class CodeTooLong(Exception):
    """The code is over the limit; it is refused as a whole, never cut."""

    def __init__(self, length: int, limit: int) -> None:
        self.length, self.limit = length, limit
        super().__init__(f"{length} characters, {limit} fit")


class AlreadyJudging(Exception):
    """The candidate's last code is still being judged."""
