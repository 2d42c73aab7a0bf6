"""Wrong solutions: a right one with one thing changed, and the check that must name it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """What is wrong, how the right solution is changed for it, and which check must fail."""

    what: str
    old: str
    new: str
    check: str

    def put_into(self, source: str) -> str:
        """Return the source with the fault."""
        assert source.count(self.old) == 1, (self.what, source.count(self.old))
        return source.replace(self.old, self.new)
