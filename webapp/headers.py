"""Response headers, and the refusal of requests that another site sent.

Covered: scripts in attributes (stored XSS through a component that renders HTML), framing by other sites, sniffed
content types, requests that carry a visitor's cookie from another site's page (by `Sec-Fetch-Site` and `Origin`).
Not covered: inline scripts as such, since Gradio's page needs `unsafe-inline` and `unsafe-eval` to start.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def content_policy(*, framed_by: str = "'self'") -> str:
    """Return the Content-Security-Policy under which Gradio's page starts and scripts in attributes don't run."""
    return "; ".join(
        [
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
            "script-src-attr 'none'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            f"frame-ancestors {framed_by}",
        ]
    )


class SecurityHeaders:
    """Adds the security headers to every response."""

    def __init__(self, app: ASGIApp, *, framed_by: str = "'self'") -> None:
        self.app = app
        self.headers = {
            "content-security-policy": content_policy(framed_by=framed_by),
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class SameSiteOnly:
    """Refuses with 403 what changes something and was sent by a page of another site."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and from_another_site(Headers(scope=scope)):
            refusal = JSONResponse({"detail": "This request came from another site's page."}, 403)
            return await refusal(scope, receive, send)
        await self.app(scope, receive, send)


def from_another_site(headers: Headers) -> bool:
    """Whether a browser says that another site's page sent the request; programs that say nothing pass."""
    fetch_site = headers.get("sec-fetch-site")
    if fetch_site is not None:
        return fetch_site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
