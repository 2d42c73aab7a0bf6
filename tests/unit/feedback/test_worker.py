"""The worker grades what was stored: once, also after a crash, and never with a made-up score."""

import threading
from datetime import timedelta
from itertools import pairwise

import pytest

from webapp.feedback import GraderAway, Worker, grade, grade_with
from webapp.store import GradeState

ANSWER = "CLIP encodes the image into 576 patch features, and an MLP projects them into the embedding space of the LLM."
LONG = timedelta(minutes=20)


class Crash(BaseException):
    """The process dies while it grades."""


class Unavailable(Exception):
    """The grader's endpoint is away."""


def fails(*_):
    raise Unavailable("no answer from the endpoint")


@pytest.fixture
def worker(store, clock):
    return Worker(store, clock=clock)


def test_a_stored_answer_is_graded(store, submit, worker):
    answer_id = submit(ANSWER)
    assert worker.run_due() == 1
    expected = grade("q01", ANSWER)
    kept = store.latest_grade(answer_id)
    assert (kept.state, kept.score, kept.kind) == (GradeState.GRADED, expected.score, "coverage")
    assert [(v["criterion"], v["verdict"], v["quote"], v["start"], v["end"]) for v in kept.verdicts] == [
        (v.criterion, v.verdict, v.quote, v.start, v.end) for v in expected.verdicts
    ]
    assert kept.flags == expected.flags
    assert (kept.model, kept.version) == (expected.grader.model, expected.grader.version)


def test_a_gated_answer_keeps_its_reason(store, submit, worker):
    answer_id = submit("I don't know")
    worker.run_due()
    kept = store.latest_grade(answer_id)
    assert (kept.score, kept.gate["reason"]) == (0, "dont_know")
    assert kept.gate["sentence"]


def test_an_answer_that_cannot_be_graded_is_kept_without_a_score(store, submit, worker):
    answer_id = submit("LLaVA 用 CLIP 把图像切成 576 个图块, 再用一个两层的 MLP 投影到语言模型的嵌入空间。")
    worker.run_due()
    kept = store.latest_grade(answer_id)
    assert (kept.state, kept.score) == (GradeState.GRADED, None)


def test_an_answer_is_graded_once(store, submit, worker):
    answer_id = submit(ANSWER)
    worker.run_due()
    assert worker.run_due() == 0
    assert len(store.grades(answer_id)) == 1


def test_workers_share_the_queue(store, submit, clock):
    answers = [submit(f"{ANSWER} {number}") for number in range(12)]
    workers = [Worker(store, clock=clock) for _ in range(3)]
    threads = [threading.Thread(target=worker.run_due) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(store.grades(answer_id)) for answer_id in answers] == [1] * 12
    assert store.ungraded_answers() == []


def test_a_crash_between_claim_and_save_is_made_good(store, submit, clock):
    def crashes(*_):
        raise Crash

    answer_id = submit(ANSWER)
    with pytest.raises(Crash):
        Worker(store, grade=crashes, clock=clock).run_due()
    survivor = Worker(store, clock=clock)
    assert survivor.run_due() == 0
    assert store.latest_grade(answer_id).state is GradeState.PENDING
    clock.pass_by(minutes=10)
    assert survivor.run_due() == 1
    assert store.latest_grade(answer_id).score == grade("q01", ANSWER).score


def test_a_failure_is_noted_and_scores_nothing(store, submit, clock):
    answer_id = submit(ANSWER)
    Worker(store, grade=fails, clock=clock).run_due()
    kept = store.latest_grade(answer_id)
    assert (kept.state, kept.score) == (GradeState.PENDING, None)
    assert kept.error == "Unavailable: no answer from the endpoint"


def test_a_failure_is_tried_again_after_longer_and_longer_pauses(store, submit, clock):
    answer_id = submit(ANSWER)
    started, tried = clock(), []

    def fails_at(*_):
        tried.append((clock() - started).total_seconds())
        fails()

    worker = Worker(store, grade=fails_at, clock=clock)
    while clock() < started + LONG:
        worker.run_due()
        clock.pass_by(seconds=5)
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert pauses == sorted(pauses)
    assert (pauses[0], 5 < len(pauses) < 20) == (5, True)
    Worker(store, clock=clock).run_due()
    clock.pass_by(hours=2)
    Worker(store, clock=clock).run_due()
    assert store.latest_grade(answer_id).score == grade("q01", ANSWER).score


def test_one_bad_answer_does_not_hold_up_the_others(store, submit, clock):
    def grades_all_but_the_first(question_id, text, _):
        return fails() if text == "first" else grade(question_id, text)

    bad, good = submit("first"), submit(ANSWER)
    Worker(store, grade=grades_all_but_the_first, clock=clock).run_due()
    assert store.latest_grade(bad).state is GradeState.PENDING
    assert store.latest_grade(good).state is GradeState.GRADED


def test_grading_again_keeps_the_old_grade(store, submit, worker, clock):
    answer_id = submit(ANSWER)
    worker.run_due()
    before = store.latest_grade(answer_id)
    clock.pass_by(days=1)
    store.request_grade(answer_id, now=clock())
    worker.run_due()
    assert store.grades(answer_id)[0] == before
    assert len(store.grades(answer_id)) == 2


def test_the_thread_grades_when_it_is_woken(store, submit):
    graded = threading.Event()

    def grades(question_id, text, _):
        graded.set()
        return grade(question_id, text)

    worker = Worker(store, grade=grades)
    worker.start()
    try:
        submit(ANSWER)
        worker.wake()
        assert graded.wait(20)
    finally:
        worker.stop()
    assert store.ungraded_answers() == []


def test_periodic_jobs_run_beside_the_grading_and_survive_errors(store):
    ran = threading.Semaphore(0)
    names = set()

    def job():
        names.add(threading.current_thread().name)
        ran.release()
        raise RuntimeError("the job broke")

    worker = Worker(store)
    worker.every(0.01, job)
    worker.start()
    try:
        assert all(ran.acquire(timeout=20) for _ in range(3))
    finally:
        worker.stop()
    assert names == {"periodic jobs"}


def test_a_job_runs_at_its_period(worker, clock):
    runs = []
    worker.every(60, lambda: runs.append(clock()))
    for _ in range(180):
        worker.run_due()
        clock.pass_by(seconds=1)
    assert len(runs) == 3


def test_a_worker_can_be_stopped_and_started_again(store, submit):
    worker = Worker(store)
    worker.start()
    worker.stop()
    answer_id = submit(ANSWER)
    worker.start()
    try:
        worker.wake()
        for _ in range(200):
            if store.latest_grade(answer_id).state is GradeState.GRADED:
                break
            threading.Event().wait(0.1)
    finally:
        worker.stop()
    assert store.latest_grade(answer_id).state is GradeState.GRADED


def test_progress_is_kept_while_an_answer_is_read(store, submit, clock):
    answer_id, seen = submit(ANSWER), []

    def grades(question_id, text, progress):
        progress(5, 14)
        kept = store.latest_grade(answer_id)
        seen.append((kept.state, kept.criteria_read, kept.criteria_count))
        return grade(question_id, text)

    Worker(store, grade=grades, clock=clock).run_due()
    assert seen == [(GradeState.PENDING, 5, 14)]


def test_an_endpoint_that_names_a_time_is_not_asked_before(store, submit, clock):
    def busy(*_):
        raise GraderAway("api.example.org is busy.", retry_after=600)

    answer_id = submit(ANSWER)
    Worker(store, grade=busy, clock=clock).run_due()
    kept = store.latest_grade(answer_id)
    assert (kept.error, kept.due_at - clock()) == ("api.example.org is busy.", timedelta(seconds=600))


def test_stopping_gives_an_answer_in_hand_back(store, submit, clock):
    answer_id = submit(ANSWER)
    began = threading.Event()

    def grades_for_ever(_, __, progress):
        while True:
            progress(5, 14)
            began.set()

    worker = Worker(store, grade=grades_for_ever, clock=clock)
    worker.start()
    assert began.wait(20)
    worker.stop()
    assert store.latest_grade(answer_id).state is GradeState.PENDING
    assert Worker(store, clock=clock).run_due() == 1
    assert store.latest_grade(answer_id).tries == 1


def test_an_answer_that_a_slow_model_holds_is_given_back_at_the_end(store, submit, clock):
    answer_id = submit(ANSWER)
    began, going = threading.Event(), threading.Event()

    def grades(question_id, text, progress):
        began.set()
        going.wait(20)
        progress(5, 14)

    worker = Worker(store, grade=grades, clock=clock)
    worker.start()
    assert began.wait(20)
    worker.stop(timeout=0.05)
    (again,) = store.claim_answers(limit=1, now=clock(), lease=LONG)
    going.set()
    for thread in threading.enumerate():
        if thread.name == "grading":
            thread.join(20)
    assert (again.answer_id, again.tries) == (answer_id, 1)
    assert store.claim_answers(limit=1, now=clock(), lease=LONG) == []


def test_an_answer_in_hand_stays_claimed_for_as_long_as_it_takes(store, submit, clock):
    submit(ANSWER)
    renewed = threading.Event()

    def grades(question_id, text, _):
        clock.pass_by(minutes=1)
        assert renewed.wait(20)
        clock.pass_by(seconds=90)
        assert Worker(store, clock=clock).run_due() == 0
        return grade(question_id, text)

    worker = Worker(store, grade=grades, clock=clock)
    extend = store.extend_claims

    def watched(*args, **options):
        extend(*args, **options)
        renewed.set()

    store.extend_claims = watched
    worker.every(0.01, lambda: None)
    worker.start()
    assert renewed.wait(20)
    worker.stop()
    assert store.ungraded_answers() == []


def test_several_answers_are_read_at_the_same_time(store, submit):
    together = threading.Barrier(3)

    def grades(question_id, text, _):
        together.wait(20)
        return grade(question_id, text)

    answers = [submit(f"{ANSWER} {number}") for number in range(3)]
    worker = Worker(store, grade=grades, threads=3)
    worker.start()
    try:
        for _ in range(200):
            if not store.ungraded_answers():
                break
            threading.Event().wait(0.1)
    finally:
        worker.stop()
    assert {store.latest_grade(answer_id).state for answer_id in answers} == {GradeState.GRADED}


def test_a_models_calls_are_kept_with_the_grade(store, submit, clock, llm, architecture):
    answer_id = submit(ANSWER)

    def grades(_, text, progress):
        return grade_with(llm(calls=store, progress=progress), architecture, text)

    Worker(store, grade=grades, clock=clock).run_due()
    kept = store.latest_grade(answer_id)
    calls = store.calls_of(kept.id)
    assert [(used.call.tokens_in, used.cached, used.call.error) for used in calls] == [(1000, False, None)] * 3
    assert ANSWER in calls[0].call.messages[1]["content"]
    assert "projector" in calls[0].call.reply
    assert (kept.kind, kept.model, kept.criteria_read) == ("llm", "fake-1", 14)


def test_what_was_read_before_a_crash_is_not_paid_twice(store, submit, clock, llm, endpoint, architecture):
    answer_id = submit(ANSWER)

    def grades(_, text, progress):
        return grade_with(llm(calls=store, progress=progress), architecture, text)

    def crashes(_, text, progress):
        def crash(read, count):
            progress(read, count)
            if read == 10:
                raise Crash

        return grades(_, text, crash)

    with pytest.raises(Crash):
        Worker(store, grade=crashes, clock=clock).run_due()
    assert len(endpoint.asked) == 2
    clock.pass_by(minutes=10)
    Worker(store, grade=grades, clock=clock).run_due()
    assert len(endpoint.asked) == 3
    kept = store.latest_grade(answer_id)
    assert [used.cached for used in store.calls_of(kept.id)] == [True, True, False]
