"""Users, and failed sign-ins."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, func, select

from webapp.store.database import Database
from webapp.store.errors import NameTaken, NotFound
from webapp.store.tables import Role, SignInFailure, User, UserKind

LOCAL = "local"


class Users(Database):
    """The store's users."""

    def user(self, user_id: str) -> User:
        """Return a user; NotFound if there is none."""
        with self._reading() as session:
            found = session.get(User, user_id)
        if found is None:
            raise NotFound(f"user {user_id}")
        return found

    def user_by_subject(self, *, kind: UserKind, subject: str) -> User | None:
        """Return the user whom a kind of sign-in knows by that subject, such as a sign-in name."""
        with self._reading() as session:
            return session.exec(select(User).where(User.kind == kind, User.subject == subject)).one_or_none()

    def create_user(
        self,
        *,
        kind: UserKind,
        name: str,
        roles: Sequence[Role],
        subject: str | None = None,
        password_hash: str | None = None,
    ) -> User:
        """Add a user; NameTaken if the kind of sign-in knows the subject already."""
        user = User(kind=kind, name=name, roles=tuple(roles), subject=subject, password_hash=password_hash)
        try:
            with self._writing() as session:
                session.add(user)
        except IntegrityError as error:
            raise NameTaken(subject) from error
        return user

    def local_user(self) -> User:
        """Return the laptop's one person, who has every role; added on the first call, by whichever comes first."""
        found = self.user_by_subject(kind=UserKind.LOCAL, subject=LOCAL)
        try:
            return found or self.create_user(kind=UserKind.LOCAL, name="You", roles=tuple(Role), subject=LOCAL)
        except NameTaken:
            return self.local_user()

    def ensure_guest(self, user_id: str) -> None:
        """Write down the guest of that id, whom only a signed cookie knows so far; nothing happens if it exists."""
        with self._reading() as session:
            if session.get(User, user_id) is not None:
                return
        with suppress(IntegrityError), self._writing() as session:  # another request of the guest came first
            session.add(User(id=user_id, kind=UserKind.GUEST, name="Guest", roles=(Role.CANDIDATE,)))

    def add_sign_in_failure(self, *, address_hash: str, at: datetime, keep_since: datetime) -> None:
        """Note a failed sign-in, and forget those of every address before `keep_since`."""
        with self._writing() as session:
            session.exec(delete(SignInFailure).where(col(SignInFailure.at) < keep_since))
            session.add(SignInFailure(address_hash=address_hash, at=at))

    def sign_in_failures(self, *, address_hash: str, since: datetime) -> int:
        """Count an address's failed sign-ins since a moment."""
        mine = (SignInFailure.address_hash == address_hash, SignInFailure.at >= since)
        with self._reading() as session:
            return session.exec(select(func.count()).select_from(SignInFailure).where(*mine)).one()
