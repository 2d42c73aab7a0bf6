"""Keeps requests to addresses that visitors named on the public internet, away from the host's own network.

The name is looked up once, here, and the connection goes to the address that was checked: a name that changes between
look-up and connection, or a redirect, leads nowhere else.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from webapp.feedback.llm.errors import NotPublic

if TYPE_CHECKING:
    import httpx2

MOST_BYTES = 1_000_000  # of one reply


def public_address(host: str, port: int) -> str:
    """Return an IP address of a host, all of whose addresses are public; NotPublic if one isn't, or there is none."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        raise NotPublic(f"There is no host {host}.") from None
    for address in found:
        if not is_public(address):
            raise NotPublic(f"{host} is not on the public internet.")
    return sorted(found)[0]


def is_public(address: str) -> bool:
    """Tell whether an IP address can be reached from everywhere; addresses inside IPv6 forms count as themselves."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def check_public_url(url: str) -> None:
    """Return if a visitor may name this address; NotPublic says why not."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise NotPublic("That is not an address.") from None
    if parts.scheme != "https" or not parts.hostname:
        raise NotPublic("The address must begin with https://.")
    public_address(parts.hostname, port)


def public_client(timeout: float) -> "httpx2.Client":
    """Return an HTTP client that reaches public https hosts alone and follows no redirects."""
    import httpx2

    class Bounded(httpx2.SyncByteStream):
        """A reply's body, refused past a size or a time."""

        def __init__(self, inner: httpx2.SyncByteStream) -> None:
            self.inner = inner

        def __iter__(self) -> Iterator[bytes]:
            seen, end = 0, time.monotonic() + timeout
            for chunk in self.inner:
                seen += len(chunk)
                if seen > MOST_BYTES:
                    raise httpx2.ReadError("the reply is too large")
                if time.monotonic() > end:
                    raise httpx2.ReadTimeout("the reply takes too long")
                yield chunk

        def close(self) -> None:
            self.inner.close()

    class PublicTransport(httpx2.HTTPTransport):
        """Connects to the address that was checked, and asks there for the certificate of the name."""

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            url = request.url
            if url.scheme != "https":
                raise NotPublic("The address must begin with https://.")
            request.extensions = {**request.extensions, "sni_hostname": url.host}
            request.url = url.copy_with(host=public_address(url.host, url.port or 443))
            answer = super().handle_request(request)
            assert isinstance(answer.stream, httpx2.SyncByteStream)  # noqa: S101
            answer.stream = Bounded(answer.stream)
            return answer

    transport = PublicTransport(verify=ssl.create_default_context(), trust_env=False)
    return httpx2.Client(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)
