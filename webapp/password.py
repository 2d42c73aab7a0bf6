"""The interviewers' password: kept as a hash only, and slow to guess.

Covered: guessing from one address and guessing from many (failures are counted for the address and for all together, in
the store, so that several processes count as one). Not covered: several interviewers with accounts of their own.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

WINDOW = timedelta(minutes=15)
FAILURES_OF_ONE = 5
FAILURES_OF_ALL = 50


class TooManyFailures(Exception):
    """Sign-in is closed for a while."""


class WrongPassword(Exception):
    """The password is not the interviewers'."""


class ReviewClosed(Exception):
    """No password is configured, so nobody can sign in."""


class FailureLog(Protocol):
    """Where failed sign-ins are counted; the store is one."""

    def add_sign_in_failure(self, *, address_hash: str, at: datetime, keep_since: datetime) -> None:
        """Keep one failure, and forget those before `keep_since`."""

    def sign_in_failures(self, *, address_hash: str, since: datetime) -> int:
        """Return how many failures there were since a time."""


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password."""
    return PasswordHasher().hash(password)


class Gatekeeper:
    """Checks the interviewers' password; `password` is plain or an argon2 hash, None closes the review."""

    def __init__(self, password: str | None, *, key: str) -> None:
        self._hash = password if password is None or password.startswith("$argon2") else hash_password(password)
        self._key = key.encode()

    @property
    def open(self) -> bool:
        """Whether a password is configured."""
        return self._hash is not None

    def admit(self, password: str, *, address: str, log: FailureLog, now: datetime) -> None:
        """Return for the right password; ReviewClosed, TooManyFailures or WrongPassword otherwise."""
        if self._hash is None:
            raise ReviewClosed
        hashes = {self._digest(address): FAILURES_OF_ONE, self._digest("everybody"): FAILURES_OF_ALL}
        if any(log.sign_in_failures(address_hash=h, since=now - WINDOW) >= limit for h, limit in hashes.items()):
            raise TooManyFailures
        try:
            PasswordHasher().verify(self._hash, password)
        except (VerificationError, InvalidHashError):
            for address_hash in hashes:
                log.add_sign_in_failure(address_hash=address_hash, at=now, keep_since=now - WINDOW)
            raise WrongPassword from None

    def _digest(self, address: str) -> str:
        return hmac.new(self._key, address.encode(), hashlib.sha256).hexdigest()
