"""What can go wrong in the store, as facts."""


class NotFound(Exception):
    """There is no such thing, or it is another person's; both read the same, so that ids can't be probed."""


class NameTaken(Exception):
    """A user with this sign-in exists."""


class StoreNotReady(Exception):
    """The database doesn't answer, or its schema isn't the one that this version of the app needs."""
