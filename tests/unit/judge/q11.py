"""Solutions of q11."""

from tests.unit.judge.faults import Fault

RIGHT = """
import numpy as np


class ImageIndex:
    def __init__(self, dim):
        self.dim = dim
        self.rows = {}
        self.names, self.matrix = [], np.zeros((0, dim), np.float32)
        self.fresh = True

    def checked(self, vectors):
        vectors = np.array(vectors, np.float64)
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise ValueError("wrong dimension")
        if not np.isfinite(vectors).all():
            raise ValueError("not finite")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if (norms == 0).any():
            raise ValueError("a zero vector")
        return (vectors / norms).astype(np.float32)

    def add(self, ids, vectors):
        rows = self.checked(vectors)
        if len(ids) != len(rows):
            raise ValueError("ids and vectors differ")
        for name, row in zip(ids, rows):
            self.rows[name] = row
        self.fresh = False

    def search(self, query, k):
        if k < 1:
            raise ValueError("k")
        query = self.checked([query])[0]
        if not self.rows:
            return []
        if not self.fresh:
            self.names = sorted(self.rows)
            self.matrix = np.stack([self.rows[name] for name in self.names])
            self.fresh = True
        scores = self.matrix @ query
        k = min(k, len(scores))
        least = np.partition(scores, -k)[-k]
        near = np.flatnonzero(scores >= least - 1e-6)
        found = [(self.names[place], float(scores[place])) for place in near]
        found.sort(key=lambda each: (-round(each[1], 6), each[0]))
        return found[:k]

    def remove(self, ids):
        for name in ids:
            self.rows.pop(name, None)
        self.fresh = False
"""

OTHER_RIGHT = '''
import numpy


class ImageIndex:
    """Keeps its matrix all the time; ties are found by grouping equal rows."""

    def __init__(self, dim: int) -> None:
        self._dim, self._ids, self._at = dim, [], {}
        self._unit = numpy.empty((0, dim), dtype=numpy.float32)
        self._group = []

    def add(self, ids, vectors):
        raw = numpy.asarray(vectors)
        if raw.ndim != 2 or raw.shape != (len(ids), self._dim):
            raise ValueError(f"expected {(len(ids), self._dim)}, got {raw.shape}")
        raw = raw.astype(numpy.float64)
        length = numpy.sqrt((raw * raw).sum(axis=1))
        if not numpy.all(numpy.isfinite(length) & (length > 0)):
            raise ValueError("vectors must be finite and not zero")
        unit = (raw / length[:, None]).astype(numpy.float32)
        last = dict(zip(ids, range(len(ids))))
        known = [i for i in last if i in self._at]
        for i in known:
            self._unit[self._at[i]] = unit[last[i]]
        new = [i for i in last if i not in self._at]
        if new:
            self._unit = numpy.concatenate([self._unit, unit[[last[i] for i in new]]])
            for i in new:
                self._at[i] = len(self._ids)
                self._ids.append(i)

    def remove(self, ids):
        gone = {i for i in ids if i in self._at}
        if gone:
            keep = [i for i in self._ids if i not in gone]
            self._unit = self._unit[[self._at[i] for i in keep]]
            self._ids, self._at = keep, {i: n for n, i in enumerate(keep)}

    def search(self, query, k):
        q = numpy.asarray(query, dtype=numpy.float64)
        if q.shape != (self._dim,) or k <= 0:
            raise ValueError("bad query or k")
        size = float(numpy.sqrt(q @ q))
        if not numpy.isfinite(size) or size == 0:
            raise ValueError("the query must be finite and not zero")
        count = min(int(k), len(self._ids))
        if not count:
            return []
        score = self._unit @ (q / size).astype(numpy.float32)
        edge = score[numpy.argpartition(score, len(score) - count)[len(score) - count]]
        places = [int(p) for p in numpy.flatnonzero(score >= edge - 2e-6)]
        exact = {p: float(self._unit[p].astype(numpy.float64) @ (q / size)) for p in places}
        places.sort(key=lambda p: (-exact[p], self._ids[p]))
        return [(self._ids[p], exact[p]) for p in places[:count]]
'''

FAULTS = [
    Fault(
        "a dot product", "return (vectors / norms).astype(np.float32)", "return vectors.astype(np.float32)", "cosine"
    ),
    Fault(
        "the query not normalised",
        "query = self.checked([query])[0]",
        "self.checked([query])\n        query = np.asarray(query, np.float32)",
        "cosine",
    ),
    Fault("the distance as score", "float(scores[place])) for", "1 - float(scores[place])) for", "cosine"),
    Fault("the farthest first", "scores = self.matrix @ query", "scores = -(self.matrix @ query)", "cosine"),
    Fault("float16 rows", "norms).astype(np.float32)", "norms).astype(np.float16)", "cosine"),
    Fault(
        "ties by age",
        "found.sort(key=lambda each: (-round(each[1], 6), each[0]))",
        "found.sort(key=lambda each: (-round(each[1], 6), list(self.rows).index(each[0])))",
        "ties",
    ),
    Fault(
        "ties at the edge left to chance",
        "near = np.flatnonzero(scores >= least - 1e-6)",
        "near = np.argpartition(scores, -k)[-k:]",
        "ties",
    ),
    Fault(
        "the matrix not renewed",
        "            self.rows[name] = row\n        self.fresh = False",
        "            self.rows[name] = row\n        self.fresh = bool(len(self.names))",
        "several adds",
    ),
    Fault(
        "the old vector kept",
        "            self.rows[name] = row\n",
        "            self.rows.setdefault(name, row)\n",
        "replacing",
    ),
    Fault(
        "the first of two wins",
        "for name, row in zip(ids, rows):",
        "for name, row in list(zip(ids, rows))[::-1]:",
        "twice in one add",
    ),
    Fault("an unknown id raises", "self.rows.pop(name, None)", "self.rows.pop(name)", "removing"),
    Fault(
        "removed ones still found",
        "            self.rows.pop(name, None)\n        self.fresh = False",
        "            self.rows.pop(name, None)",
        "removing",
    ),
    Fault("an empty index raises", "            return []\n", '            raise ValueError("empty")\n', "few images"),
    Fault("k beyond the index raises", "        k = min(k, len(scores))\n", "", "few images"),
    Fault(
        "zero vectors pass",
        "        if (norms == 0).any():",
        "        norms[norms == 0] = 1\n        if False:",
        "bad input",
    ),
    Fault(
        "NaN passes", "        if not np.isfinite(vectors).all():", "        if np.isinf(vectors).any():", "bad input"
    ),
    Fault(
        "infinity passes",
        "        if not np.isfinite(vectors).all():",
        "        if np.isnan(vectors).any():",
        "bad input",
    ),
    Fault("lengths not compared", "        if len(ids) != len(rows):", "        if False:", "bad input"),
    Fault(
        "half an add before the error",
        "        rows = self.checked(vectors)\n        if len(ids) != len(rows):",
        "        for name, row in zip(ids, vectors):\n"
        "            if np.shape(row) == (self.dim,) and np.linalg.norm(row) > 0:\n"
        "                self.rows[name] = (row / np.linalg.norm(row)).astype(np.float32)\n"
        "                self.fresh = False\n        rows = self.checked(vectors)\n"
        "        if len(ids) != len(rows):",
        "bad input",
    ),
    Fault("k=0 passes", "        if k < 1:\n", "        if k < 0:\n", "bad input"),
    Fault(
        "one image at a time",
        "        scores = self.matrix @ query\n",
        "        scores = np.array([float(np.dot(row, query)) for row in self.matrix])\n",
        "speed",
    ),
    Fault(
        "everything normalised at each search",
        "        scores = self.matrix @ query\n",
        "        scores = (self.matrix / np.linalg.norm(self.matrix, axis=1, keepdims=True)).astype(float) @ query\n",
        "speed",
    ),
    Fault(
        "everything sorted in Python",
        "        near = np.flatnonzero(scores >= least - 1e-6)\n",
        "        near = range(len(scores))\n",
        "speed",
    ),
    Fault(
        "the vectors normalised in place",
        "        vectors = np.array(vectors, np.float64)\n",
        "        vectors = np.asarray(vectors)\n"
        "        if vectors.ndim == 2 and vectors.dtype == np.float32:\n            vectors *= 2\n",
        "arguments",
    ),
]
