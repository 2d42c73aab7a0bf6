"""The interview room: one open attempt, its text, its clock and its hints.

A browser sends with every text the revision that it last read. The server stores the text as the next revision if
that is still the newest, and refuses it with both versions if not; a text that is stored already is fine, so that
a request can be repeated.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from content import Catalog
from webapp.interview.deadline import close, is_overdue, settle, settled
from webapp.interview.errors import AnswerTooLong, AttemptClosed, DraftConflict, NoSuchHint, PracticeOnly
from webapp.interview.secrecy import questions_under_assessment
from webapp.interview.views import AttemptView, RoomView, Saved, attempt_view, hint_views, question_of
from webapp.store import Attempt, Held, HintTaken, Mode, Store, Submitter

MAX_CHARACTERS = 100_000
EXTENSION_MINUTES = 5


def room(store: Store, catalog: Catalog, *, user_id: str, attempt_id: str, now: datetime) -> RoomView:
    """Return all that the room shows; an attempt whose time is over is submitted first.

    Raises:
        NotFound: No such attempt, another person's, or the packs no longer have its question.
    """
    record = settled(store, user_id=user_id, attempt_id=attempt_id, now=now)
    question = question_of(catalog, record.attempt.question_id)
    draft = store.latest_draft(attempt_id=attempt_id)
    secret = record.session.mode is Mode.ASSESSMENT or question.id in questions_under_assessment(store, user_id=user_id)
    can_have = () if secret else question.hints[len(record.attempt.hints) :]
    return RoomView(
        **vars(attempt_view(catalog, record.session, record.attempt, now)),
        statement=question.statement,
        level=question.level,
        band=question.band,
        category=question.category,
        minutes=question.minutes,
        server_now=now,
        text=draft.text if draft else "",
        revision=draft.revision if draft else 0,
        saved_at=draft.saved_at if draft else None,
        hints=hint_views(record.attempt),
        hints_left=len(can_have),
        next_hint_cost=can_have[0].cost if can_have else None,
    )


def save_draft(store: Store, *, user_id: str, attempt_id: str, text: str, revision: int, now: datetime) -> Saved:
    """Keep the text as a new revision after `revision`, the one that the writer last read (0: none).

    Raises:
        NotFound: No such attempt, or another person's.
        AnswerTooLong: Over `MAX_CHARACTERS`.
        AttemptClosed: Submitted, or the time is over.
        DraftConflict: Another text was saved since.
    """
    text = storable(text)
    with store.hold_attempt(user_id=user_id, attempt_id=attempt_id) as held:
        require_open(held.attempt, now)
        return _keep(held, text=text, revision=revision, now=now)


def submit(
    store: Store, catalog: Catalog, *, user_id: str, attempt_id: str, text: str, revision: int, now: datetime
) -> AttemptView:
    """Submit the text as the answer. What is submitted already stays, by whomever, and is returned.

    Raises:
        NotFound: No such attempt, or another person's.
        AnswerTooLong: Over `MAX_CHARACTERS`.
        DraftConflict: Another text was saved since `revision`.
    """
    text = storable(text)
    with store.hold_attempt(user_id=user_id, attempt_id=attempt_id) as held:
        if not settle(held, now) and held.attempt.submitted_at is None:
            _keep(held, text=text, revision=revision, now=now)
            resume_clock(held.attempt, now)
            close(held, text=text, at=now, by=Submitter.CANDIDATE, late=now > held.attempt.deadline)
    return attempt_view(catalog, held.session, held.attempt, now)


def take_hint(store: Store, catalog: Catalog, *, user_id: str, attempt_id: str, number: int, now: datetime) -> RoomView:
    """Take the hint of that number, counted from 1, for its cost; one that is taken already costs nothing more.

    Raises:
        NotFound: No such attempt, or another person's.
        PracticeOnly: The session is an assessment, or one that is open asks the same question.
        AttemptClosed: Submitted, or the time is over.
        NoSuchHint: Not the next of the question's hints.
    """
    secret = questions_under_assessment(store, user_id=user_id)
    with _practice(store, user_id, attempt_id, now) as held:
        if held.attempt.question_id in secret:
            raise PracticeOnly(held.attempt.question_id)
        taken, hints = held.attempt.hints, question_of(catalog, held.attempt.question_id).hints
        if not 1 <= number <= min(len(taken) + 1, len(hints)):
            raise NoSuchHint(number)
        if number > len(taken):
            hint = hints[number - 1]
            held.attempt.hints = (*taken, HintTaken(number=number, text=hint.text, cost=hint.cost, taken_at=now))
    return room(store, catalog, user_id=user_id, attempt_id=attempt_id, now=now)


def pause(store: Store, catalog: Catalog, *, user_id: str, attempt_id: str, now: datetime) -> RoomView:
    """Stop the clock of a practice; pausing twice is pausing once. Raises as `take_hint` does."""
    with _practice(store, user_id, attempt_id, now) as held:
        held.attempt.paused_at = held.attempt.paused_at or now
    return room(store, catalog, user_id=user_id, attempt_id=attempt_id, now=now)


def resume(store: Store, catalog: Catalog, *, user_id: str, attempt_id: str, now: datetime) -> RoomView:
    """Go on after a pause: the deadline moves by the time paused. Raises as `take_hint` does."""
    with _practice(store, user_id, attempt_id, now) as held:
        resume_clock(held.attempt, now)
    return room(store, catalog, user_id=user_id, attempt_id=attempt_id, now=now)


def extend(
    store: Store,
    catalog: Catalog,
    *,
    user_id: str,
    attempt_id: str,
    now: datetime,
    minutes: int = EXTENSION_MINUTES,
) -> RoomView:
    """Move a practice's deadline, before it passes; the report shows the overtime. Raises as `take_hint` does."""
    with _practice(store, user_id, attempt_id, now) as held:
        held.attempt.deadline += timedelta(minutes=minutes)
        held.attempt.extended_seconds += minutes * 60
    return room(store, catalog, user_id=user_id, attempt_id=attempt_id, now=now)


def resume_clock(attempt: Attempt, now: datetime) -> None:
    """End a pause, if there is one, and move the deadline by its length."""
    if attempt.paused_at is None:
        return
    pause = max(now - attempt.paused_at, timedelta(0))
    attempt.deadline += pause
    attempt.paused_seconds += pause.total_seconds()
    attempt.paused_at = None


def require_open(attempt: Attempt, now: datetime) -> None:
    """Raise AttemptClosed unless the attempt still takes text."""
    if attempt.submitted_at is not None or is_overdue(attempt, now):
        raise AttemptClosed(attempt.id)


def storable(text: str) -> str:
    """Return the text as any database can hold it: without NUL, lone surrogates replaced.

    Raises:
        AnswerTooLong: Over `MAX_CHARACTERS`.
    """
    if len(text) > MAX_CHARACTERS:
        raise AnswerTooLong(len(text), MAX_CHARACTERS)
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _keep(held: Held, *, text: str, revision: int, now: datetime) -> Saved:
    draft = held.latest_draft()
    current_text, current_revision = (draft.text, draft.revision) if draft else ("", 0)
    if text != current_text:
        if revision != current_revision:
            raise DraftConflict(current_text, current_revision)
        draft = held.add_draft(revision=current_revision + 1, text=text, saved_at=now)
    return Saved(revision=draft.revision, saved_at=draft.saved_at) if draft else Saved(revision=0, saved_at=now)


@contextmanager
def _practice(store: Store, user_id: str, attempt_id: str, now: datetime) -> Iterator[Held]:
    with store.hold_attempt(user_id=user_id, attempt_id=attempt_id) as held:
        if held.session.mode is not Mode.PRACTICE:
            raise PracticeOnly(held.session.mode)
        require_open(held.attempt, now)
        if held.attempt.paused_at is None and now >= held.attempt.deadline:  # the grace is for text only
            raise AttemptClosed(attempt_id)
        yield held
