"""Code of an exercise: its saved states and its runs; the judge here says what the test tells it to."""

import threading

import pytest

from content import Form
from sandbox.judge import Check, Verdict
from webapp import interview
from webapp.interview import AlreadyJudging, AttemptClosed, CodeRun, CodeTooLong, Judging, NoCodeHere
from webapp.store import NotFound

STARTER = "def answer():\n    return 0\n"


@pytest.fixture
def catalog(catalog):
    """The two questions, the first of them with code to write."""
    first = catalog.questions["t01"]
    exercise = first.exercise.model_copy(update={"form": Form.CODE, "starter": STARTER})
    questions = {**catalog.questions, "t01": first.model_copy(update={"exercise": exercise})}
    return catalog.model_copy(update={"questions": questions})


@pytest.fixture
def who(candidate, practice):
    return {"user_id": candidate, "exercise": "t01", "attempt_id": practice.attempt_id}


def verdict(*checks):
    return Verdict(
        passed=all(check.passed for check in checks),
        score=sum(check.passed for check in checks) / len(checks),
        checks=checks,
        error="",
        seconds=0.5,
        seed=7,
        exercise="t01",
        prints="hello",
        peak_bytes=1000,
        notes=("Judged by transformers alone.",),
    )


CHECKS = (
    Check("shape", "The shape is right.", True, "(3, 4) on every input"),
    Check("values", "The values are right.", False, "expected 1, got 0", b"png"),
)


def tell(exercise, source, *, only_public, on_check, stop, user):
    chosen = CHECKS[:1] if only_public else CHECKS
    for check in chosen:
        on_check(check)
    return verdict(*chosen)


def run(judging, who, at, *, everything=True):
    return list(judging.run(**who, source="x = 1", everything=everything, clock=lambda: at(3)))


def test_an_exercise_begins_with_its_starter(store, catalog, who):
    shown = interview.open_code(store, catalog, **who)
    assert (shown.source, shown.saved_at, shown.versions, shown.runs) == (STARTER, None, (), ())


def test_every_state_is_kept_newest_first(store, catalog, who, at):
    for minute, source in enumerate(("a = 1", "a = 2", "a = 2", STARTER), start=1):
        interview.save_code(store, catalog, **who, source=source, now=at(minute))
    shown = interview.open_code(store, catalog, **who)
    assert [version.source for version in shown.versions] == [STARTER, "a = 2", "a = 1"]
    assert (shown.source, shown.saved_at) == (STARTER, at(4))


def test_code_beside_an_attempt_and_without_one_are_two(store, catalog, who, at):
    interview.save_code(store, catalog, **who, source="beside", now=at(1))
    interview.save_code(store, catalog, **{**who, "attempt_id": None}, source="alone", now=at(2))
    assert interview.open_code(store, catalog, **who).source == "beside"
    assert interview.open_code(store, catalog, **{**who, "attempt_id": None}).source == "alone"


def test_nobody_reads_or_changes_anothers_code(store, catalog, who, stranger, at):
    interview.save_code(store, catalog, **who, source="mine", now=at(1))
    theirs = {**who, "user_id": stranger}
    with pytest.raises(NotFound):
        interview.open_code(store, catalog, **theirs)
    with pytest.raises(NotFound):
        interview.save_code(store, catalog, **theirs, source="theirs", now=at(2))


def test_a_submitted_attempt_takes_no_more_code(store, catalog, who, at):
    with pytest.raises(AttemptClosed):
        interview.save_code(store, catalog, **who, source="late", now=at(25))


def test_code_that_is_too_long_is_refused_and_not_cut(store, catalog, who, at):
    with pytest.raises(CodeTooLong):
        interview.save_code(store, catalog, **who, source="#" * 100_001, now=at(1))


@pytest.mark.parametrize("exercise", ["t02", "t99"])
def test_an_exercise_without_code_says_so(store, catalog, candidate, exercise):
    with pytest.raises(NoCodeHere):
        interview.open_code(store, catalog, user_id=candidate, exercise=exercise)


def test_checks_come_as_they_are_made_and_the_run_is_kept(store, catalog, who, at):
    *checks, done = run(Judging(store, tell), who, at)
    assert checks == list(CHECKS)
    assert isinstance(done, CodeRun)
    assert done.checks[1].picture == b"png"
    (kept,) = interview.open_code(store, catalog, **who).runs
    assert kept.kind == "code"
    assert kept.settings == {"exercise": "t01", "source": "x = 1", "seed": 7, "everything": True}
    assert kept.figures["text"] == "1 of 2 checks passed"
    assert (kept.figures["passed"], kept.figures["score"], kept.figures["prints"]) == (False, 0.5, "hello")
    assert (kept.figures["notes"], kept.figures["prints_cut"]) == (["Judged by transformers alone."], False)
    assert kept.figures["checks"][1] == {"name": "values", "passed": False, "detail": "expected 1, got 0"}


def test_a_rehearsal_makes_the_public_checks_only(store, catalog, who, at):
    *checks, done = run(Judging(store, tell), who, at, everything=False)
    assert [check.name for check in checks] == ["shape"]
    assert done.run.settings["everything"] is False


def test_one_person_has_one_piece_of_code_judged_at_a_time(store, who, at):
    go_on = threading.Event()

    def slow(exercise, source, **options):
        options["on_check"](CHECKS[0])
        go_on.wait(10)
        return verdict(*CHECKS)

    judging = Judging(store, slow)
    first = judging.run(**who, source="x", everything=True, clock=lambda: at(3))
    assert next(first) == CHECKS[0]
    with pytest.raises(AlreadyJudging):
        run(judging, who, at)
    go_on.set()
    assert isinstance(list(first)[-1], CodeRun)
    assert run(judging, who, at)


def endless(exercise, source, *, on_check, stop, **options):
    on_check(CHECKS[0])
    assert stop.wait(10)
    return verdict(*CHECKS)


def test_a_stopped_run_ends_without_being_kept_and_frees_the_person(store, who, at):
    judging = Judging(store, endless)
    running = judging.run(**who, source="x", everything=True, clock=lambda: at(3))
    assert next(running) == CHECKS[0]
    judging.stop(who["user_id"])
    assert list(running) == []
    assert store.runs(who["user_id"]) == []
    assert isinstance(run(Judging(store, tell), who, at)[-1], CodeRun)


def test_leaving_a_run_stops_it(store, who, at):
    told = threading.Event()

    def listening(*args, stop, **options):
        result = endless(*args, stop=stop, **options)
        told.set()
        return result

    judging = Judging(store, listening)
    running = judging.run(**who, source="x", everything=True, clock=lambda: at(3))
    next(running)
    running.close()
    assert told.wait(10)
    judging.stop(who["user_id"])


def test_what_the_judge_raises_reaches_who_asked_and_frees_the_person(store, who, at):
    def broken(*args, **options):
        raise RuntimeError("no")

    judging = Judging(store, broken)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            run(judging, who, at)
