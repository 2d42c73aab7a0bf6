"""The application: FastAPI with the guard around three Gradio mounts: interview, sandbox, review."""

import getpass
import os
import tempfile
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# Uploads in transit stand in a folder of their own, away from the data folder and the working directory.
os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(tempfile.gettempdir()) / f"vivalab-uploads-{getpass.getuser()}"))

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from sandbox import BadInput, EngineFailed
from webapp import identity
from webapp.headers import SameSiteOnly, SecurityHeaders
from webapp.pages import HEAD, candidate_pages, review_pages, sandbox_pages, theme
from webapp.routes import router
from webapp.services import Services
from webapp.settings import Settings
from webapp.store import NotFound
from webapp.words import words

SITE = Path(__file__).parent / "site"
COOKIE_DAYS = 60
STATE_SESSIONS = 300
LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]", "::1"]
SPACE_FRAMES = "'self' https://huggingface.co https://*.hf.space"


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application.

    '/' and '/sandbox' for candidates, '/review' for interviewers, '/healthz' and '/readyz' for probes.
    """
    settings = settings or Settings()
    services = Services.open(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.start()
        yield
        services.close()

    app = FastAPI(lifespan=lifespan, middleware=middleware(services), docs_url=None, redoc_url=None, openapi_url=None)
    app.state.services = services
    app.include_router(router)
    app.mount("/site", StaticFiles(directory=SITE))
    for kind in (NotFound, identity.SignedOut, identity.NotAnInterviewer, BadInput, EngineFailed):
        app.add_exception_handler(kind, answer_in_words)
    mount(app, review_pages(services), "/review", who=reviewer_name)
    mount(app, sandbox_pages(services), "/sandbox", who=candidate_name)
    mount(app, candidate_pages(services), "/", who=candidate_name)
    return app


def middleware(services: Services) -> list[Middleware]:
    """Return the layers around every request, outermost first."""
    settings = services.settings
    local_user = services.store.local_user().id if settings.personal else None
    same_site: Literal["none", "lax"] = "none" if settings.on_space else "lax"
    layers = [
        Middleware(SecurityHeaders, framed_by=SPACE_FRAMES if settings.on_space else "'self'"),
        Middleware(CORSMiddleware, allow_origins=[settings.address]),
        Middleware(SameSiteOnly),
        Middleware(
            SessionMiddleware,
            secret_key=settings.cookie_key(),
            session_cookie="vivalab",
            max_age=COOKIE_DAYS * 24 * 3600,
            same_site=same_site,
            https_only=settings.secure,
            partitioned=settings.on_space,
        ),
        Middleware(identity.Guard, local_user=local_user),
    ]
    if settings.personal:
        # A page of another site can name this address in its own DNS; the Host header then gives it away.
        layers.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_HOSTS, www_redirect=False))
    return layers


def mount(app: FastAPI, blocks: gr.Blocks, path: str, *, who: Any) -> None:
    """Mount a set of pages, closed to whom `who` returns None for."""
    blocks.state_session_capacity = STATE_SESSIONS
    blocks.queue(api_open=False, max_size=64, default_concurrency_limit=8)
    settings: Settings = app.state.services.settings
    # Gradio warns that several pages rule out rendering on the server, which is switched off here anyway.
    warnings.filterwarnings("ignore", message="SSR mode is not supported with multi-page apps")
    gr.mount_gradio_app(
        app,
        blocks,
        path=path,
        auth_dependency=who,
        theme=theme(),
        head=HEAD,
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        footer_links=[],
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=settings.max_upload_mb * 2**20,
        blocked_paths=[str(settings.data_dir), str(Path.cwd())],
    )


def candidate_name(request: Request) -> str | None:
    """Return who practises, None if nobody is known."""
    try:
        return identity.candidate(request)
    except identity.SignedOut:
        return "probe" if request.method == "HEAD" else None


def reviewer_name(request: Request) -> str | None:
    """Return who reviews, None if the visitor may not."""
    try:
        return identity.interviewer(request)
    except (identity.SignedOut, identity.NotAnInterviewer):
        return None


def answer_in_words(_: Request, error: Exception) -> JSONResponse:
    """Answer a known error with its sentence."""
    statuses = {identity.SignedOut: 401, identity.NotAnInterviewer: 403, NotFound: 404, EngineFailed: 503}
    status = next((code for kind, code in statuses.items() if isinstance(error, kind)), 422)
    return JSONResponse({"detail": words(error)}, status)
