"""The application's own HTTP routes: drafts, pictures, sign-in of interviewers, health."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape
from pydantic import BaseModel, Field

from webapp import feedback, identity, interview
from webapp.password import ReviewClosed, TooManyFailures, WrongPassword
from webapp.pictures import sources_of
from webapp.runs import tensors
from webapp.services import MODEL_WAIT_SECONDS, Services, now
from webapp.store import NotFound, StoreNotReady
from webapp.words import words

router = APIRouter()
forms = Environment(loader=FileSystemLoader(Path(__file__).parent / "forms"), autoescape=select_autoescape())


def services_of(request: Request) -> Services:
    """Return the application's services."""
    return request.app.state.services


def candidate_of(request: Request) -> str:
    """Return the id of who practises; SignedOut without one."""
    return identity.candidate(request)


Server = Annotated[Services, Depends(services_of)]
Candidate = Annotated[str, Depends(candidate_of)]


class DraftIn(BaseModel):
    """A text to save, and the revision that it grew from."""

    text: str
    revision: int = Field(ge=0)


@router.put("/attempts/{attempt_id}/draft")
def save_draft(attempt_id: str, draft: DraftIn, services: Server, user_id: Candidate) -> Response:
    """Save a draft: 200 with its revision; 409 with the other text; 410 once submitted; 413 when too long."""
    try:
        saved = interview.save_draft(
            services.store,
            user_id=user_id,
            attempt_id=attempt_id,
            text=draft.text,
            revision=draft.revision,
            now=now(),
        )
    except interview.DraftConflict as conflict:
        return JSONResponse(
            {"text": conflict.current_text, "revision": conflict.current_revision, "detail": words(conflict)}, 409
        )
    except interview.AttemptClosed as closed:
        services.worker.wake()
        return JSONResponse({"detail": words(closed)}, 410)
    except interview.AnswerTooLong as too_long:
        return JSONResponse({"detail": words(too_long)}, 413)
    return JSONResponse({"revision": saved.revision, "saved_at": saved.saved_at.isoformat()})


class CodeIn(BaseModel):
    """Code to save."""

    source: str


@router.put("/code/{exercise}")
def save_code(exercise: str, code: CodeIn, services: Server, user_id: Candidate, attempt: str = "") -> Response:
    """Save a state of one's code: 200 with its time; 410 once the attempt is submitted; 413 when too long."""
    try:
        saved = interview.save_code(
            services.store,
            services.catalog,
            user_id=services.known_candidate(user_id),
            exercise=exercise,
            attempt_id=attempt or None,
            source=code.source,
            now=now(),
        )
    except interview.AttemptClosed as closed:
        return JSONResponse({"detail": words(closed)}, 410)
    except interview.CodeTooLong as too_long:
        return JSONResponse({"detail": words(too_long)}, 413)
    except interview.NoCodeHere as none:
        return JSONResponse({"detail": words(none)}, 404)
    return JSONResponse({"saved_at": saved.saved_at.isoformat()})


class OwnModelIn(BaseModel):
    """A model that a candidate brings for the visit."""

    base_url: str = ""
    model: str = ""
    api_key: str = Field(default="", repr=False)


@router.put("/own-model")
def keep_own_model(brought: OwnModelIn, request: Request, services: Server, _: Candidate) -> Response:
    """Hold a candidate's own model in memory for this visit: 204, or 422 with what is wrong with it."""
    visit = request.session.setdefault("visit", feedback.new_visit())
    try:
        services.own_models.keep(visit, base_url=brought.base_url, model=brought.model, api_key=brought.api_key)
    except feedback.OwnModelRefused as error:
        return JSONResponse({"detail": words(error)}, 422)
    return Response(status_code=204)


@router.delete("/own-model")
def forget_own_model(request: Request, services: Server, _: Candidate) -> Response:
    """Forget the candidate's own model: 204."""
    services.own_models.forget(request.session.pop("visit", None))
    return Response(status_code=204)


@router.post("/attempts/{attempt_id}/own-grade")
def grade_with_own_model(attempt_id: str, request: Request, services: Server, user_id: Candidate) -> Response:
    """Have an own answer read by the own model: 202; 403 before its feedback may be seen; 409 if it can't be now."""
    try:
        report = interview.report(services.store, services.catalog, user_id=user_id, attempt_id=attempt_id, now=now())
        question = services.catalog.questions.get(report.question_id)
        if not report.shown or question is None:
            return JSONResponse({"detail": "The feedback on this answer can't be seen yet."}, 403)
        services.own_models.grade(request.session.get("visit"), report.answer_id, question, report.answer)
    except (feedback.OwnModelRefused, interview.NotSubmitted) as error:
        return JSONResponse({"detail": words(error)}, 409)
    return Response(status_code=202)


@router.get("/sandbox")
def sandbox(request: Request) -> RedirectResponse:
    """Lead to the sandbox's first page."""
    return RedirectResponse(f"/sandbox/?{request.url.query}" if request.url.query else "/sandbox/", 307)


@router.get("/sandbox/picture")
def picture(source: str, services: Server, user_id: Candidate) -> Response:
    """Show a picture: one that is drawn, or one's own upload; 404 for another person's."""
    return private_png(services.pictures.shown(user_id, source))


@router.get("/sandbox/tensors")
def run_tensors(run: str, services: Server, user_id: Candidate) -> Response:
    """Give the tensors of one's own run as an npz file; 404 for another person's run."""
    found = services.store.run(user_id=user_id, run_id=run)
    data = tensors(found, services.engine.get(timeout=MODEL_WAIT_SECONDS), services.pictures)
    headers = {
        "cache-control": "private, no-store",
        "content-disposition": f'attachment; filename="vivalab-{found.kind}-{found.id[:8]}.npz"',
    }
    return Response(data, media_type="application/octet-stream", headers=headers)


@router.get("/review/picture")
def evidence_picture(run: str, number: int, request: Request, services: Server) -> Response:
    """Show interviewers a picture of a run that stands beside a submitted answer."""
    identity.interviewer(request)
    found = services.store.submitted_run(run_id=run)
    sources = sources_of(found.settings)
    if not 0 <= number < len(sources):
        raise NotFound("picture")
    return private_png(services.pictures.shown(found.user_id, sources[number]))


def private_png(data: bytes) -> Response:
    """Return a picture that the visitor's browser may keep, and nobody between."""
    return Response(data, media_type="image/png", headers={"cache-control": "private, max-age=3600"})


@router.api_route("/healthz", methods=["GET", "HEAD"])
def alive() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.api_route("/readyz", methods=["GET", "HEAD"])
def ready(services: Server) -> JSONResponse:
    """Say whether people can be served: 200 if the store answers, else 503; model, jail and grader stand beside it."""
    try:
        services.store.check()
    except StoreNotReady as error:
        return JSONResponse({"status": "not ready", "store": str(error)}, 503)
    code = services.jail.status.sentence
    health = services.grader.health()
    grader = {"kind": health.kind, "model": health.model, "state": health.state}
    return JSONResponse(
        {"status": "ready", "store": "ok", "model": services.engine.state, "code": code, "grader": grader}
    )


@router.get("/sign-in", response_class=HTMLResponse)
def sign_in_form(services: Server) -> HTMLResponse:
    """Show the form of interviewers."""
    return form_page(closed=not services.gatekeeper.open)


@router.post("/sign-in")
def sign_in(request: Request, services: Server, password: Annotated[str, Form(max_length=1000)]) -> Response:
    """Let an interviewer in, or say why not: 401 wrong, 429 too often, 403 closed."""
    address = request.client.host if request.client else "unknown"
    try:
        services.gatekeeper.admit(password, address=address, log=services.store, now=now())
    except WrongPassword as error:
        return form_page(problem=words(error), status=401)
    except TooManyFailures as error:
        return form_page(problem=words(error), status=429)
    except ReviewClosed as error:
        return form_page(problem=words(error), status=403, closed=True)
    kept = request.session.get("user") or identity.new_user_id()
    request.session.clear()
    request.session["user"] = kept
    identity.let_review(request.session)
    return RedirectResponse("/review/", 303)


@router.post("/sign-out")
def sign_out(request: Request, services: Server) -> RedirectResponse:
    """Close the review in this browser and forget the model brought for the visit; the visitor's work stays theirs."""
    services.own_models.forget(request.session.pop("visit", None))
    request.session.pop("reviews_until", None)
    return RedirectResponse("/", 303)


def form_page(*, problem: str | None = None, status: int = 200, closed: bool = False) -> HTMLResponse:
    """Return the sign-in page."""
    return HTMLResponse(forms.get_template("sign_in.html").render(problem=problem, closed=closed), status)
