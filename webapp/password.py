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

    def add_sign_in_failure(self, *, address_hash: str, now: datetime) -> None:
        """Keep one failure."""

    def count_sign_in_failures(self, *, address_hash: str | None, since: datetime) -> int:
        """Return the failures of one address, or of all when None, since a time."""


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
        address_hash = hmac.new(self._key, address.encode(), hashlib.sha256).hexdigest()
        for who, limit in ((address_hash, FAILURES_OF_ONE), (None, FAILURES_OF_ALL)):
            if log.count_sign_in_failures(address_hash=who, since=now - WINDOW) >= limit:
                raise TooManyFailures
        try:
            PasswordHasher().verify(self._hash, password)
        except (VerificationError, InvalidHashError):
            log.add_sign_in_failure(address_hash=address_hash, now=now)
            raise WrongPassword from None
