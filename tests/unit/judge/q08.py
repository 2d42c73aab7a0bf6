"""Solutions of q08."""

from tests.unit.judge.faults import Fault

RIGHT = """
import hashlib
import threading
from collections import OrderedDict

import numpy as np


class Flight:
    def __init__(self):
        self.done = threading.Event()
        self.value = self.error = None


class EmbeddingCache:
    def __init__(self, max_bytes):
        if max_bytes <= 0:
            raise ValueError("max_bytes must be positive")
        self.max_bytes = max_bytes
        self.entries = OrderedDict()
        self.flights = {}
        self.lock = threading.Lock()
        self.hits = self.misses = self.evictions = self.bytes = 0

    def key(self, image, model_id, preprocess_id):
        palette = bytes(image.getpalette() or []) if image.mode == "P" else b""
        digest = hashlib.sha256()
        for part in (
            image.mode.encode(),
            repr(image.size).encode(),
            palette,
            image.tobytes(),
            model_id.encode(),
            preprocess_id.encode(),
        ):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    def get_or_compute(self, image, encode, *, model_id, preprocess_id):
        key = self.key(image, model_id, preprocess_id)
        with self.lock:
            if key in self.entries:
                self.entries.move_to_end(key)
                self.hits += 1
                return self.entries[key].copy()
            flight = self.flights.get(key)
            first = flight is None
            if first:
                flight = self.flights[key] = Flight()
                self.misses += 1
        if first:
            try:
                flight.value = encode(image)
            except BaseException as error:
                flight.error = error
            with self.lock:
                del self.flights[key]
                if flight.error is None:
                    self.keep(key, flight.value.copy())
            flight.done.set()
        flight.done.wait()
        if flight.error is not None:
            raise flight.error
        if not first:
            with self.lock:
                self.hits += 1
        return flight.value.copy()

    def keep(self, key, value):
        if value.nbytes > self.max_bytes:
            return
        self.entries[key] = value
        self.bytes += value.nbytes
        while self.bytes > self.max_bytes:
            _, oldest = self.entries.popitem(last=False)
            self.bytes -= oldest.nbytes
            self.evictions += 1

    def stats(self):
        with self.lock:
            return {"hits": self.hits, "misses": self.misses, "evictions": self.evictions, "bytes": self.bytes}
"""

OTHER_RIGHT = '''
from concurrent.futures import Future
from threading import RLock


class EmbeddingCache:
    """Futures, a list for recency, and the content itself as key."""

    def __init__(self, max_bytes: int):
        if not max_bytes > 0:
            raise ValueError(max_bytes)
        self._limit, self._guard = max_bytes, RLock()
        self._stored, self._recent, self._running = {}, [], {}
        self._count = dict(hits=0, misses=0, evictions=0)

    def get_or_compute(self, image, encode, *, model_id, preprocess_id):
        colors = tuple(image.getpalette()) if image.getpalette() else ()
        key = (model_id, preprocess_id, image.mode, image.size, colors, image.tobytes())
        mine = False
        with self._guard:
            if key in self._stored:
                self._recent.remove(key)
                self._recent.append(key)
                self._count["hits"] += 1
                return self._stored[key]
            if key not in self._running:
                mine = True
                self._running[key] = Future()
                self._count["misses"] += 1
            future = self._running[key]
        if not mine:
            found = future.result()
            with self._guard:
                self._count["hits"] += 1
            return found
        try:
            array = encode(image).copy()
            array.flags.writeable = False
        except Exception as problem:
            with self._guard:
                self._running.pop(key)
            future.set_exception(problem)
            raise
        with self._guard:
            self._running.pop(key)
            if array.nbytes <= self._limit:
                while sum(a.nbytes for a in self._stored.values()) + array.nbytes > self._limit:
                    self._stored.pop(self._recent.pop(0))
                    self._count["evictions"] += 1
                self._stored[key] = array
                self._recent.append(key)
        future.set_result(array)
        return array

    def stats(self):
        with self._guard:
            return {**self._count, "bytes": sum(a.nbytes for a in self._stored.values())}
'''

FAULTS = [
    Fault("size not in the key", "            repr(image.size).encode(),\n", "", "size in the key"),
    Fault("mode not in the key", "            image.mode.encode(),\n", "", "mode in the key"),
    Fault("palette not in the key", "            palette,\n", "", "palette in the key"),
    Fault(
        "the beginning hashed only",
        "            image.tobytes(),\n",
        "            image.tobytes()[:1000],\n",
        "pixels in the key",
    ),
    Fault(
        "a thumbnail hashed",
        "            image.tobytes(),\n",
        '            image.convert("L").resize((8, 8)).tobytes(),\n',
        "pixels in the key",
    ),
    Fault(
        "the object's identity hashed",
        "            image.tobytes(),\n",
        "            repr(id(image)).encode(),\n",
        "same content",
    ),
    Fault(
        "metadata hashed",
        "            palette,\n",
        "            repr(sorted(image.info.items(), key=str)).encode(),\n            palette,\n",
        "same content",
    ),
    Fault("model not in the key", "            model_id.encode(),\n", "", "ids in the key"),
    Fault("preprocessing not in the key", "            preprocess_id.encode(),\n", "", "ids in the key"),
    Fault(
        "ids joined by a colon",
        "            model_id.encode(),\n            preprocess_id.encode(),\n",
        '            f"{model_id}:{preprocess_id}".encode(),\n',
        "ids in the key",
    ),
    Fault("parts without lengths", 'len(part).to_bytes(8, "big") + part', "part", "ids in the key"),
    Fault("first in, first out", "                self.entries.move_to_end(key)\n", "", "least recently used"),
    Fault("the newest goes", "popitem(last=False)", "popitem(last=True)", "least recently used"),
    Fault(
        "everything cleared",
        "            _, oldest = self.entries.popitem(last=False)\n            self.bytes -= oldest.nbytes\n",
        "            self.entries.clear()\n            self.bytes = 0\n",
        "bound",
    ),
    Fault(
        "one eviction at most",
        "        while self.bytes > self.max_bytes:",
        "        if self.bytes > self.max_bytes:",
        "bound",
    ),
    Fault("never evicts", "        while self.bytes > self.max_bytes:", "        while False:", "bound"),
    Fault("an exact fit refused", "if value.nbytes > self.max_bytes:", "if value.nbytes >= self.max_bytes:", "bound"),
    Fault(
        "too large ones stored",
        "        if value.nbytes > self.max_bytes:\n            return\n",
        "        if value.nbytes > self.max_bytes:\n            self.max_bytes = value.nbytes\n",
        "too large",
    ),
    Fault(
        "too large ones refused",
        "        if value.nbytes > self.max_bytes:\n            return\n",
        '        if value.nbytes > self.max_bytes:\n            raise ValueError("too large")\n',
        "too large",
    ),
    Fault("no sharing", "            flight = self.flights.get(key)\n", "            flight = None\n", "encode once"),
    Fault(
        "one lock around encode",
        "                flight.value = encode(image)\n",
        "                with self.lock:\n                    flight.value = encode(image)\n",
        "nobody waits",
    ),
    Fault(
        "errors stored as None",
        "            except BaseException as error:\n                flight.error = error\n",
        "            except BaseException:\n                flight.value = np.zeros(1, np.float32)\n",
        "errors",
    ),
    Fault(
        "waiters get nothing",
        "        if flight.error is not None:\n            raise flight.error\n",
        "        if flight.error is not None:\n            if first:\n"
        "                raise flight.error\n            return np.zeros(1, np.float32)\n",
        "waiters",
    ),
    Fault(
        "waiters hang after an error",
        "            flight.done.set()\n",
        "            if flight.error is None:\n                flight.done.set()\n            else:\n"
        "                raise flight.error\n",
        "waiters",
    ),
    Fault(
        "a flight left behind",
        "                del self.flights[key]\n                if flight.error is None:\n",
        "                if flight.error is None:\n                    del self.flights[key]\n",
        "errors",
    ),
    Fault(
        "the stored array returned", "return self.entries[key].copy()", "return self.entries[key]", "callers' writes"
    ),
    Fault(
        "hits of waiters not counted",
        "        if not first:\n            with self.lock:\n                self.hits += 1\n",
        "",
        "stats",
    ),
    Fault(
        "bytes counted twice",
        "        self.bytes += value.nbytes\n",
        "        self.bytes += 2 * value.nbytes\n",
        "bound",
    ),
    Fault("evictions not counted", "            self.evictions += 1\n", "", "stats"),
    Fault("no bound needed", "        if max_bytes <= 0:", "        if max_bytes < 0:", "bad sizes"),
    Fault("encode gets an array", "encode(image)\n", "encode(np.asarray(image))\n", "computes once"),
]
