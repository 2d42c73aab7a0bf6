"""What the pages and routes work with: one object, made once for an application."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from content import Catalog, LiveCatalog, load_catalog
from sandbox import BadOption, EngineLoader, model_label
from sandbox.jail import Jail
from sandbox.judge import Verdict, judge
from webapp import feedback, interview
from webapp.password import Gatekeeper
from webapp.pictures import Pictures, Upload, sources_of, upload_of
from webapp.settings import Settings
from webapp.store import Run, Store

SETTLE_SECONDS = 1.0
TIDY_SECONDS = 3600.0
MODEL_WAIT_SECONDS = 180.0
"""How long somebody who asks waits for a model that is still loading."""


def now() -> datetime:
    """Return the present time, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Services:
    """The store, the questions, the engine, the jail and the worker of one application."""

    settings: Settings
    store: Store
    live_catalog: LiveCatalog | None
    engine: EngineLoader
    jail: Jail
    pictures: Pictures

    judging: interview.Judging
    grader: feedback.HostGrader
    own_models: feedback.OwnModels
    worker: feedback.Worker
    gatekeeper: Gatekeeper

    @classmethod
    def open(cls, settings: Settings) -> "Services":
        """Open and migrate the store; StoreNotReady if it can't be."""
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        store = Store(settings.store_url)
        store.migrate()
        live = LiveCatalog() if settings.reload_content else None
        grader = feedback.HostGrader(settings)
        worker = feedback.Worker(store, grade=stored_grading(store, grader, live), threads=grader.threads)
        worker.every(SETTLE_SECONDS, lambda: settle(store, worker))
        pictures = Pictures(settings.data_dir / "uploads", settings)
        worker.every(TIDY_SECONDS, lambda: remove_old_uploads(store, pictures, settings.upload_days))

        engine, jail = EngineLoader(settings), Jail(settings)
        password = settings.interviewer_password
        return cls(
            settings=settings,
            store=store,
            live_catalog=live,
            pictures=pictures,
            engine=engine,
            jail=jail,
            judging=interview.Judging(store, live_judge(engine, jail)),
            grader=grader,
            own_models=feedback.OwnModels(store, allowed=settings.llm_own, personal=settings.personal),
            worker=worker,
            gatekeeper=Gatekeeper(password.get_secret_value() if password else None, key=settings.cookie_key()),
        )

    @property
    def catalog(self) -> Catalog:
        """The questions; read again when their files changed, where the settings say so."""
        return self.live_catalog.current() if self.live_catalog else load_catalog()

    def known_candidate(self, user_id: str) -> str:
        """Return a candidate's id once the store knows it; guests are written down at their first deed."""
        self.store.ensure_guest(user_id)
        return user_id

    def own_attempt(self, user_id: str, attempt_id: str) -> str | None:
        """Return the id of one's own attempt that is still open, else None; NotFound if it is another person's."""
        if not attempt_id:
            return None
        attempt = self.store.attempt(user_id=user_id, attempt_id=attempt_id).attempt
        return attempt.id if attempt.submitted_at is None else None

    def keep_run(
        self,
        *,
        user_id: str,
        attempt_id: str | None = None,
        kind: str,
        settings: Mapping[str, Any],
        figures: Mapping[str, Any],
        receipt: str | None = None,
    ) -> Run:
        """Keep one use of the sandbox.

        Args:
            user_id: Whose it is.
            attempt_id: The own attempt that it stands beside, None for none.
            kind: The page that made it and can open it again, such as `pipeline`.
            settings: All that is needed to do it again, JSON-able: `prompt`, `pictures` (sources), and what else.
            figures: What came out, JSON-able: `text` (the answer), and what else.
            receipt: The engine's, where it gives one.
        """
        return self.store.add_run(
            user_id=user_id,
            attempt_id=attempt_id,
            kind=kind,
            settings=settings,
            figures=figures,
            receipt=receipt,
            now=now(),
        )

    def model_choices(self) -> list[tuple[str, str]]:
        """Return the models that interviewers may load: what people call each, and its folder or hub id."""
        return [(model_label(name), name) for name in self.settings.choices]

    def choose_model(self, name: str) -> None:
        """Begin to load another model for everybody; BadOption if it may not be, or one is being loaded already."""
        name = name.strip()
        if name not in self.settings.choices and not self.settings.personal:
            raise BadOption(
                "Only the models that the host lists in SANDBOX_MODELS can be loaded here. Choose one of them."
            )
        self.engine.switch(name)

    def start(self) -> None:
        """Start the background work: grading, deadlines, and loading the model."""
        self.grader.start()
        self.worker.start()
        self.engine.start()
        # the jail tests itself at its first look; nobody should wait for that
        threading.Thread(target=lambda: self.jail.status, name="jail test", daemon=True).start()

    def close(self) -> None:
        """Stop the background work, end every run of code and let the store go."""
        self.worker.stop()
        self.own_models.close()
        self.jail.close()
        self.grader.close()
        self.store.dispose()


def settle(store: Store, worker: feedback.Worker) -> None:
    """Submit what is past its deadline and have it graded."""
    if interview.settle_overdue(store, now=now()):
        worker.wake()


def remove_old_uploads(store: Store, pictures: Pictures, days: int) -> int:
    """Remove uploads that were last given `days` ago, but those that stand as evidence beside an answer."""
    return pictures.remove_older(now() - timedelta(days=days), except_for=evidence(store))


def evidence(store: Store, user_id: str | None = None) -> set[Upload]:
    """Return the uploads in runs beside an answer, of everybody or of one person."""
    runs = store.attached_runs(user_id)
    uploads = (upload_of(run.user_id, source) for run in runs for source in sources_of(run.settings))
    return {upload for upload in uploads if upload is not None}


def live_judge(engine: EngineLoader, jail: Jail) -> interview.Judge:
    """Return the judge on the application's own engine and jail."""

    def judged(exercise: str, source: str, **options: Any) -> Verdict:
        return judge(exercise, source, engine=engine.get(timeout=MODEL_WAIT_SECONDS), jail=jail, **options)

    return judged


def stored_grading(
    store: Store, grader: feedback.HostGrader, live: LiveCatalog | None
) -> Callable[[str, str, feedback.Progress], feedback.Feedback]:
    """Return what grades an answer by the rubric as it is now, and keeps a language model's calls in the store."""

    def grade(question_id: str, answer: str, progress: feedback.Progress) -> feedback.Feedback:
        catalog = live.current() if live else load_catalog()
        if question_id not in catalog.questions:
            raise feedback.UnknownQuestion(question_id)
        return feedback.grade_with(grader.grader(store, progress), catalog.questions[question_id], answer)

    return grade
