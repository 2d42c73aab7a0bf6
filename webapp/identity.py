"""Who is asking, and may they.

The signed cookie holds who a visitor is; roles are looked up where they are needed. On a loopback address the one
local person has all roles. On any other address a visitor becomes a guest with an unguessable id of their own, and the
review opens only to who signed in as interviewer. Nothing of this trusts Gradio's session hash, which the browser
chooses.
"""

import time
import uuid
from typing import Any, NamedTuple

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

REVIEW_SECONDS = 12 * 3600
OPEN_PATHS = frozenset({"healthz", "readyz", "site", "sign-in", "sign-out", "favicon.ico"})
REVIEW_PATH = "review"


class SignedOut(Exception):
    """The request carries no valid identity."""


class NotAnInterviewer(Exception):
    """The visitor may not review."""


class Visitor(NamedTuple):
    """Who is asking."""

    user_id: str
    reviews: bool


def visitor(session: dict[str, Any]) -> Visitor:
    """Return who the signed cookie says is asking; SignedOut without one."""
    user_id = session.get("user")
    if not isinstance(user_id, str):
        raise SignedOut
    return Visitor(user_id, session.get("reviews_until", 0) > time.time())


def candidate(request: Any) -> str:
    """Return the id of who practises, from a Starlette or Gradio request; SignedOut without one."""
    return visitor(session_of(request)).user_id


def interviewer(request: Any) -> str:
    """Return the id of who reviews; SignedOut or NotAnInterviewer."""
    who = visitor(session_of(request))
    if not who.reviews:
        raise NotAnInterviewer
    return who.user_id


def visit_of(request: Any) -> str | None:
    """Return the name under which a visitor's own model is held, None if none was brought."""
    name = session_of(request).get("visit")
    return name if isinstance(name, str) else None


def session_of(request: Any) -> dict[str, Any]:
    """Return the cookie's data of a Starlette request, or of a Gradio one, which wraps it."""
    inner = getattr(request, "request", request)
    return getattr(inner, "session", None) or {}


def new_user_id() -> str:
    """Return an unguessable id for a visitor."""
    return uuid.uuid4().hex


def let_review(session: dict[str, Any]) -> None:
    """Mark the visitor as interviewer for the next hours."""
    session["reviews_until"] = int(time.time()) + REVIEW_SECONDS


def first_segment(path: str) -> str:
    """Return what stands between the first two slashes of a path."""
    return path.lstrip("/").partition("/")[0]


class Guard:
    """Lets nothing through without an identity, and nothing under /review without the interviewer's role.

    `local_user` is the id of the one local person, or None where visitors are guests.
    """

    def __init__(self, app: ASGIApp, *, local_user: str | None) -> None:
        self.app, self.local_user = app, local_user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or first_segment(scope["path"]) in OPEN_PATHS:
            return await self.app(scope, receive, send)
        session, is_page = scope["session"], "text/html" in Headers(scope=scope).get("accept", "")
        if self.local_user is not None:
            if session.get("user") != self.local_user:
                session["user"] = self.local_user
            if session.get("reviews_until", 0) < time.time() + REVIEW_SECONDS / 2:
                let_review(session)
        elif "user" not in session and is_page:
            session["user"] = new_user_id()
        refusal = self._refusal(scope, session, is_page)
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope, session: dict[str, Any], is_page: bool) -> ASGIApp | None:
        if scope["method"] == "HEAD" and scope["path"] == "/":
            return None  # a platform's health probe, which has no cookie
        try:
            who = visitor(session)
        except SignedOut:
            return JSONResponse({"detail": "Open the page in a browser first."}, 401)
        if first_segment(scope["path"]) == REVIEW_PATH and not who.reviews:
            if is_page:
                return RedirectResponse("/sign-in", 303)
            return JSONResponse({"detail": "Sign in as interviewer first."}, 403)
        return None
