"""q11: `ImageIndex`, exact against brute force, and fast against bare numpy."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sandbox.jail import CallFailed, Limits
from sandbox.judge.bench import ARGUMENTS, Bench, Exercise, Probe, Wrong, show
from sandbox.tiny import caption, draw, sample_scene

TOLERANCE = 1e-5
"""On a score; float32 sums of 512 products differ by less."""
SAME = 1e-6
"""Scores so near may come in either order."""
ROWS, DIM, SEARCHES, NEAREST = 50_000, 512, 20, 10
SLOWEST = 3.0
"""Times the bare numpy product with partial sort."""
TRIES = 3
"""Timings of both sides where the first is too slow: the machine has other work."""
HOPELESS = 12.0
"""Times the bare product from which a single search ends the timing."""
CHUNK = 10_000

BARE = """
import numpy as np

rows = []


def add(part):
    rows.append(part)


def done():
    rows[:] = [np.concatenate(rows)]


def search(query, k):
    scores = rows[0] @ query
    best = np.argpartition(scores, -k)[-k:]
    return best[np.argsort(-scores[best])]
"""
"""What a search can't do without: one product and a partial sort."""


@dataclass
class Mirror:
    """The candidate's index, and what must be in it."""

    bench: Bench
    dim: int

    def __post_init__(self) -> None:
        self.handle = self.bench.make("ImageIndex", self.dim)
        self.held: dict[str, np.ndarray] = {}

    def add(self, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add on both sides."""
        self.bench.call(f"{self.handle}.add", list(ids), vectors)
        self.held.update(zip(ids, vectors, strict=True))

    def remove(self, ids: Sequence[str]) -> None:
        """Remove on both sides."""
        self.bench.call(f"{self.handle}.remove", list(ids))
        for name in ids:
            self.held.pop(name, None)

    def found(self, query: np.ndarray, k: int) -> list[tuple[str, float]]:
        """Return what the candidate finds; `Wrong` if it is no list of (id, score)."""
        return pairs(self.bench.call(f"{self.handle}.search", query, k).value, f"search(query, {k})")

    def expect(self, query: np.ndarray, k: int, what: str) -> None:
        """`Wrong` unless the candidate finds what brute force does."""
        got = self.found(query, k)
        expected = brute_force(self.held, query, k)
        where = f"{what}, k={k}, {len(self.held)} images of {self.dim}"
        if len(got) != len(expected):
            raise Wrong(f"{where}: {len(expected)} results are expected; {len(got)} came.")
        scores = scores_of(self.held, query)
        for place, (name, score) in enumerate(got):
            if name not in scores:
                raise Wrong(f"{where}: {name!r} is found and isn't in the index.")
            if abs(score - scores[name]) > TOLERANCE:
                raise Wrong(
                    f"{where}: {name!r} has the cosine {scores[name]:.4f}; the score {score:.4f} came. "
                    f"{_hint(score, self.held[name], query)}".rstrip()
                )
            if abs(scores[name] - expected[place][1]) > SAME:
                raise Wrong(f"{where}: result {place} should be {expected[place][0]!r}; it is {name!r}.")
        if len({name for name, _ in got}) != len(got):
            raise Wrong(f"{where}: an image is found twice.")
        for (before, _), (after, _) in pairwise(got):
            if before > after and np.array_equal(self.held[before], self.held[after]):
                raise Wrong(f"{where}: {before!r} and {after!r} have the same vector; at a tie the ids decide.")


def _hint(score: float, vector: np.ndarray, query: np.ndarray) -> str:
    product = float(np.dot(vector.astype(np.float64), query.astype(np.float64)))
    length, other = float(np.linalg.norm(vector)), float(np.linalg.norm(query))
    for value, what in (
        (product, "That is the bare product; neither side is normalised."),
        (product / length, "The query is not normalised."),
        (product / other, "The image's vector is not normalised."),
        (1 - product / length / other, "That is the distance, 1 - cosine."),
    ):
        if abs(score - value) < TOLERANCE * max(1.0, abs(value)):
            return what
    return ""


def pairs(value: Any, call: str) -> list[tuple[str, float]]:
    """Return a result as (id, score) pairs; `Wrong` if it is none."""
    fits = isinstance(value, list) and all(
        isinstance(each, tuple | list)
        and len(each) == 2
        and isinstance(each[0], str)
        and type(each[1]) in (int, float)
        and np.isfinite(each[1])
        for each in value
    )
    if not fits:
        raise Wrong(f"{call} should be a list of (id, score) tuples with finite scores; {show(value)} came.")
    return [(name, float(score)) for name, score in value]


def scores_of(held: dict[str, np.ndarray], query: np.ndarray) -> dict[str, float]:
    """Return every image's cosine, in float64."""
    if not held:
        return {}
    matrix = np.stack(list(held.values())).astype(np.float64)
    wanted = query.astype(np.float64)
    cosines = matrix @ wanted / np.linalg.norm(matrix, axis=1) / np.linalg.norm(wanted)
    return dict(zip(held, cosines.tolist(), strict=True))


def brute_force(held: dict[str, np.ndarray], query: np.ndarray, k: int) -> list[tuple[str, float]]:
    """Return the k nearest by cosine, ties by id."""
    return sorted(scores_of(held, query).items(), key=lambda found: (-round(found[1], 9), found[0]))[:k]


def vectors(numbers: np.random.Generator, rows: int, dim: int, dtype: str = "float32") -> np.ndarray:
    """Return vectors of very different lengths."""
    lengths = np.exp(numbers.uniform(-3, 3, (rows, 1)))
    return (numbers.standard_normal((rows, dim)) * lengths).astype(dtype)


def names(numbers: np.random.Generator, rows: int) -> list[str]:
    """Return distinct ids, in no order."""
    return [f"img-{number:05d}" for number in numbers.choice(99_999, rows, replace=False)]


def cosine(bench: Bench) -> str:
    """Scores of vectors of any length, and their order."""
    numbers = bench.numbers("cosine")
    for dim, rows, dtype in ((16, 80, "float32"), (33, 200, "float64")):
        index = Mirror(bench, dim)
        index.add(names(numbers, rows), vectors(numbers, rows, dim, dtype))
        for k in (1, 5, rows // 2):
            index.expect(vectors(numbers, 1, dim, dtype)[0], k, f"{dtype} vectors")
    return "Ids, scores and order are brute force's."


def several_adds(bench: Bench) -> str:
    """Vectors added bit by bit, with searches between."""
    numbers = bench.numbers("several adds")
    index = Mirror(bench, 12)
    for _ in range(5):
        count = int(numbers.integers(1, 20))
        index.add(names(numbers, count), vectors(numbers, count, 12))
        index.expect(vectors(numbers, 1, 12)[0], 6, "after another add")
    return "Found after every one of five adds."


def ties(bench: Bench) -> str:
    """Equal vectors, with products that are exact in any order of summing, so that they tie for everybody."""
    numbers = bench.numbers("ties")
    index = Mirror(bench, 16)
    ids, rows = names(numbers, 60), numbers.choice(np.array([-1, 1], np.float32), (60, 16))
    rows[numbers.choice(60, 30, replace=False)] = rows[7]
    index.add(ids, rows)
    expected = sorted(name for name, row in index.held.items() if np.array_equal(row, rows[7]))
    for k in (3, 10, len(expected), 60):
        index.expect(rows[7] * np.float32(0.5), k, f"{len(expected)} images with one vector")
        got = [name for name, _ in index.found(rows[7], k)][: len(expected)]
        if got != expected[: min(k, len(expected))]:
            place = next(place for place, (one, other) in enumerate(zip(got, expected, strict=False)) if one != other)
            raise Wrong(
                f"{len(expected)} images have the same vector; with k={k} the smallest ids of them should come, in "
                f"order. Result {place} is {got[place]!r}; it should be {expected[place]!r}."
            )
    return "At a tie the ids decide, also about who is among the k."


def replacing(bench: Bench) -> str:
    """An id that is added again."""
    numbers = bench.numbers("replacing")
    index = Mirror(bench, 10)
    ids = names(numbers, 30)
    index.add(ids, vectors(numbers, 30, 10))
    index.expect(vectors(numbers, 1, 10)[0], 30, "before anything is replaced")
    index.add(ids[5:15], vectors(numbers, 10, 10))
    index.expect(vectors(numbers, 1, 10)[0], 30, "after ten ids were added again")
    index.expect(index.held[ids[7]], 3, "with the vector of a replaced id as the query")
    return "An id that is added again has its new vector, and stands in the index once."


def twice_in_one(bench: Bench) -> str:
    """An id twice in one call."""
    numbers = bench.numbers("twice")
    index = Mirror(bench, 10)
    ids = names(numbers, 12)
    doubled = [*ids, ids[3], ids[0], ids[3]]
    index.add(doubled, vectors(numbers, len(doubled), 10))
    index.expect(index.held[ids[3]], 15, "after an add with one id three times")
    return "The last of them wins."


def removing(bench: Bench) -> str:
    """Removed ids, known and unknown, then added again."""
    numbers = bench.numbers("removing")
    index = Mirror(bench, 14)
    ids = names(numbers, 40)
    index.add(ids, vectors(numbers, 40, 14))
    index.expect(vectors(numbers, 1, 14)[0], 5, "before anything is removed")
    index.remove([ids[3], "no such image", ids[20], ids[39], ids[3]])
    index.expect(vectors(numbers, 1, 14)[0], 40, "after three ids were removed")
    index.add([ids[20], "a new one"], vectors(numbers, 2, 14))
    index.expect(vectors(numbers, 1, 14)[0], 40, "after one of them was added again")
    index.remove(list(index.held))
    index.expect(vectors(numbers, 1, 14)[0], 4, "after all were removed")
    return "Removed ids are gone, unknown ones are ignored."


def few(bench: Bench) -> str:
    """Fewer images than k."""
    numbers = bench.numbers("few")
    index = Mirror(bench, 9)
    if (got := index.found(vectors(numbers, 1, 9)[0], 3)) != []:
        raise Wrong(f"An empty index should find []; {show(got)} came.")
    index.add(names(numbers, 4), vectors(numbers, 4, 9))
    index.expect(vectors(numbers, 1, 9)[0], 4, "k equal to the index")
    index.expect(vectors(numbers, 1, 9)[0], 50, "k beyond the index")
    index.add([], np.zeros((0, 9), np.float32))
    index.expect(vectors(numbers, 1, 9)[0], 4, "after an add of nothing")
    return "An empty index finds nothing, a small one all it has."


def refused(bench: Bench) -> str:
    """Bad input, each time with a look whether the index is as it was."""
    numbers = bench.numbers("refused")
    index = Mirror(bench, 8)
    ids = names(numbers, 20)
    index.add(ids, vectors(numbers, 20, 8))

    def with_row(row: Any) -> np.ndarray:
        rows = vectors(numbers, 5, 8)
        rows[3] = row
        return rows

    new = ["new-a", ids[2], "new-b", "new-c", ids[9]]
    one = vectors(numbers, 1, 8)[0]
    cases: list[tuple[str, str, tuple[Any, ...]]] = [
        ("vectors of another dimension", "add", (new, vectors(numbers, 5, 9))),
        ("one flat vector", "add", (["new-a"], vectors(numbers, 1, 8)[0])),
        ("more ids than vectors", "add", ([*new, "new-d"], vectors(numbers, 5, 8))),
        ("more vectors than ids", "add", (new, vectors(numbers, 6, 8))),
        ("a zero vector among others", "add", (new, with_row(0))),
        ("a NaN among others", "add", (new, with_row(np.nan))),
        ("an infinity among others", "add", (new, with_row(np.inf))),
        ("a query of another dimension", "search", (vectors(numbers, 1, 7)[0], 3)),
        ("a zero query", "search", (np.zeros(8, np.float32), 3)),
        ("a NaN in the query", "search", (np.where(np.arange(8) == 2, np.float32(np.nan), one), 3)),
        ("an infinity in the query", "search", (np.where(np.arange(8) == 5, np.float32(np.inf), one), 3)),
        ("k=0", "search", (one, 0)),
        ("k=-1", "search", (one, -1)),
    ]
    wrong = []
    for why, method, args in cases:
        try:
            result = bench.try_call(f"{index.handle}.{method}", *args)
            wrong.append(f"{why}: {method} returned {show(result.value)} instead of raising ValueError")
            break
        except CallFailed as error:
            if not error.is_a("ValueError"):
                wrong.append(f"{why}: {method} raised {error.kind} instead of ValueError")
        try:
            index.expect(vectors(numbers, 1, 8)[0], 25, f"after {why} was refused")
        except Wrong as error:
            wrong.append(f"the index changed. {error}".rstrip("."))
            break
    if wrong:
        raise Wrong(f"{'; '.join(wrong)}.")
    return f"ValueError, and the index as it was, for {', '.join(why for why, _, _ in cases)}."


@dataclass(frozen=True)
class Timed:
    """Seconds of each search, by the judge's clock."""

    seconds: list[float]
    found: list[Any]

    @property
    def median(self) -> float:
        """Of the searches after the warm-up."""
        return statistics.median(self.seconds)


def timed_bare(bench: Bench, matrix: np.ndarray, queries: np.ndarray) -> float:
    """Return the median seconds of the bare product with partial sort, in a jail run of its own."""
    with bench.beside(BARE, SPEED_LIMITS) as run:
        for start in range(0, len(matrix), CHUNK):
            run.call("add", matrix[start : start + CHUNK])
        run.call("done")
        return statistics.median([run.call("search", query, NEAREST).seconds for query in queries][1:])


def timed_index(bench: Bench, ids: list[str], matrix: np.ndarray, queries: np.ndarray, bare: float) -> Timed:
    """Return how long the candidate's searches take; those of a hopeless one are cut short."""
    handle = bench.make("ImageIndex", DIM)
    for start in range(0, len(matrix), CHUNK):
        bench.call(f"{handle}.add", ids[start : start + CHUNK], matrix[start : start + CHUNK])
    seconds, found = [], []
    for query in queries:
        result = bench.call(f"{handle}.search", query, NEAREST)
        seconds.append(result.seconds)
        found.append(result.value)
        if len(seconds) > 3 and min(seconds[1:]) > HOPELESS * bare:
            break
    return Timed(seconds[1:], found)


def speed(bench: Bench) -> str:
    """50,000 vectors of 512, against the bare product in the same run of the judge; what is found is checked too."""
    numbers = bench.numbers("speed")
    matrix = numbers.standard_normal((ROWS, DIM), np.float32)
    ids = [f"img-{number:05d}" for number in numbers.permutation(ROWS)]
    norms = np.linalg.norm(matrix, axis=1)
    ratios = []
    for _ in range(TRIES):
        queries = numbers.standard_normal((SEARCHES + 1, DIM), np.float32)
        bench.rest()
        bare = timed_bare(bench, matrix, queries)
        mine = timed_index(bench, ids, matrix, queries, bare)
        _expect_found(mine.found[-1], ids, matrix, norms, queries[len(mine.found) - 1])
        ratios.append(mine.median / bare)
        if ratios[-1] <= SLOWEST or ratios[-1] > HOPELESS:
            break
    said = (
        f"A search among {ROWS:,} vectors of {DIM} takes {mine.median * 1e3:.1f} ms, the bare product with partial "
        f"sort {bare * 1e3:.1f} ms: {min(ratios):.1f} times as long (at most {SLOWEST:g})."
    )
    if min(ratios) > SLOWEST:
        raise Wrong(said)
    return said


def _expect_found(value: Any, ids: list[str], matrix: np.ndarray, norms: np.ndarray, query: np.ndarray) -> None:
    got = pairs(value, f"search(query, {NEAREST})")
    cosines = (matrix @ query) / norms / np.linalg.norm(query)
    best = np.sort(cosines)[::-1][:NEAREST]
    place = {name: number for number, name in enumerate(ids)}
    if len(got) != NEAREST or any(name not in place for name, _ in got):
        raise Wrong(f"Among {ROWS:,} vectors, {NEAREST} known ids are expected; {show(value)} came.")
    for rank, (name, score) in enumerate(got):
        if abs(cosines[place[name]] - best[rank]) > TOLERANCE or abs(score - best[rank]) > TOLERANCE:
            raise Wrong(
                f"Among {ROWS:,} vectors, result {rank} has the cosine {cosines[place[name]]:.5f} and the score "
                f"{score:.5f}; the true one has {best[rank]:.5f}."
            )


def by_text(bench: Bench) -> str:
    """Captions as queries."""
    scenes, embedded = _gallery(bench)
    asked = scenes[:: max(1, len(scenes) // 12)]
    texts = _clip(bench).embed_texts([caption(scene) for scene in asked])
    return _live(bench, embedded, texts, [scenes.index(scene) for scene in asked], "Captions find their picture")


def by_image(bench: Bench) -> str:
    """Pictures, made smaller and blurred, as queries."""
    scenes, embedded = _gallery(bench)
    chosen = list(range(0, len(scenes), max(1, len(scenes) // 12)))
    smaller = [draw(scenes[number]).resize((64, 64)) for number in chosen]
    found = _clip(bench).embed_images(smaller)
    return _live(bench, embedded, found, chosen, "Pictures made smaller find themselves")


def _clip(bench: Bench) -> Any:
    from sandbox.clip import load_clip

    return bench.once("clip", load_clip)


def _gallery(bench: Bench) -> tuple[list[Any], np.ndarray]:
    def make() -> tuple[list[Any], np.ndarray]:
        chance = bench.random("gallery")
        scenes = [sample_scene(chance) for _ in range(60)]
        return scenes, _clip(bench).embed_images([draw(scene) for scene in scenes])

    return bench.once("gallery", make)


def _live(bench: Bench, embedded: np.ndarray, queries: np.ndarray, true: list[int], what: str) -> str:
    index = Mirror(bench, embedded.shape[1])
    index.add([f"scene-{number:02d}" for number in range(len(embedded))], embedded)
    first = 0
    for query, number in zip(queries, true, strict=True):
        index.expect(query, 5, "CLIP's embeddings of fresh scenes")
        first += index.found(query, 1)[0][0] == f"scene-{number:02d}"
    return f"As brute force finds. {what} first in {first} of {len(true)} cases, among {len(embedded)}."


SPEED_LIMITS = Limits(seconds=20.0, total_seconds=90.0, memory_bytes=2 << 30)

EXERCISE = Exercise(
    "q11",
    ("ImageIndex",),
    (
        Probe(
            "cosine", "Ids, scores and order are those of brute force, for vectors of any length.", cosine, public=True
        ),
        Probe("several adds", "What is added later is found too.", several_adds),
        Probe("ties", "Equal vectors come in the order of their ids.", ties, public=True),
        Probe("replacing", "An id that is added again has its new vector.", replacing, public=True),
        Probe("twice in one add", "Of an id that stands twice in one add, the last wins.", twice_in_one),
        Probe("removing", "Removed ids are gone, unknown ones ignored.", removing, public=True),
        Probe("few images", "A small index gives what it has, an empty one nothing.", few, public=True),
        Probe("bad input", "Bad input raises ValueError and leaves the index as it was.", refused),
        Probe("speed", "A search is at most three times as slow as bare numpy.", speed),
        Probe("text to image", "Live: captions find what brute force finds in CLIP's space.", by_text),
        Probe("image to image", "Live: pictures find what brute force finds in CLIP's space.", by_image),
        ARGUMENTS,
    ),
    limits=SPEED_LIMITS,
)
