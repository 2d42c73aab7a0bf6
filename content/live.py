"""A catalog that follows its files: for writing questions while the app runs.

Nothing is watched in the background; `current` compares the files' times and sizes each time it is asked, about a
hundred calls of `stat` for a pack of fifteen questions.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from content.loader import BrokenContent, pack_folders, read_catalog
from content.schema import Catalog

Stamp = dict[Path, tuple[int, int]]


class LiveCatalog:
    """The packs as they are on disk now, or as they last were without a fault.

    Attributes:
        problem: what is wrong with the files on disk, None while they are good.
    """

    def __init__(self, folders: Sequence[Path] | None = None) -> None:
        """Read the packs in `folders`; None: all packs beside this module, and those added later.

        Raises:
            BrokenContent: if the packs can't be read, since there is no good state to fall back on.
        """
        self._folders = folders
        self._lock = Lock()
        self._stamp = self._look()
        self._catalog = read_catalog(self._packs())
        self.problem: BrokenContent | None = None

    def current(self) -> Catalog:
        """Return the catalog, read again if a file was changed, added or removed since the last call."""
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._catalog, self.problem = read_catalog(self._packs()), None
                except BrokenContent as problem:
                    self.problem = problem
            return self._catalog

    def _packs(self) -> Sequence[Path]:
        return pack_folders() if self._folders is None else self._folders

    def _look(self) -> Stamp:
        stamp: Stamp = {}
        for folder in self._packs():
            for path in folder.rglob("*"):
                try:
                    state = path.stat()
                except FileNotFoundError:  # an editor replaced it between listing and looking
                    continue
                stamp[path] = (state.st_mtime_ns, state.st_size)
        return stamp
