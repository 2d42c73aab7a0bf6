"""q08: `EmbeddingCache`, judged by which calls reach `encode`, what comes back, and what still hits later."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sandbox.jail import Callback, CallFailed, Limits, Picture
from sandbox.judge.arrays import expect_array
from sandbox.judge.bench import ARGUMENTS, Bad, Bench, Exercise, Probe, Wrong, show

HOLD = 0.5
"""Seconds for which `encode` is held up, so that other calls come to wait."""
BARRIER = 4.0
"""Seconds after which calls for different keys count as waiting for each other."""
CALLERS = 6
MODEL, PREPROCESS = "clip-a", "squash-336"

WRITES = '''
def judged_writes(max_bytes, image, encode, model_id, preprocess_id):
    """The judge's: write into every returned array, as a careless caller would."""
    import numpy

    cache, seen = EmbeddingCache(max_bytes), []
    for _ in range(3):
        got = cache.get_or_compute(image, encode, model_id=model_id, preprocess_id=preprocess_id)
        seen.append(numpy.array(got))
        try:
            got[...] = -1.0
        except ValueError:
            pass
    return seen
'''


@dataclass
class Client:
    """One cache in the jail."""

    bench: Bench
    max_bytes: int
    handle: str = field(init=False)

    def __post_init__(self) -> None:
        self.handle = self.bench.make("EmbeddingCache", self.max_bytes)

    def get(
        self,
        picture: Picture,
        encode: Callable[[], np.ndarray],
        model_id: str = MODEL,
        preprocess_id: str = PREPROCESS,
    ) -> tuple[np.ndarray, int]:
        """Ask for a picture's embedding; return it and how often `encode` was called.

        Raises:
            CallFailed: The call raised.
            Wrong: No array came back, or `encode` was not called with the image alone.
        """
        callback = Callback(lambda *_: encode())
        result = self.bench.try_call(
            f"{self.handle}.get_or_compute", picture, callback, model_id=model_id, preprocess_id=preprocess_id
        )
        for args, kwargs in callback.calls:
            if len(args) != 1 or kwargs or not isinstance(args[0], Picture):
                raise Wrong("encode should be called as encode(image), with the PIL image and nothing else.")
        return expect_array(result.value, "The embedding"), len(callback.calls)

    def expect(self, hit: bool, what: str, picture: Picture, embedding: np.ndarray, *ids: str) -> None:
        """`Wrong` unless asking for this picture hits, or misses, and gives the embedding that belongs to it."""
        try:
            got, calls = self.get(picture, lambda: embedding, *ids)
        except CallFailed as error:
            raise Wrong(f"{what}: get_or_compute raised {error}.") from None
        if hit and calls:
            raise Wrong(f"{what} should hit; encode was called.")
        if not hit and calls != 1:
            came = "called more than once" if calls else "not called, so another embedding came back"
            raise Wrong(f"{what} should miss; encode was {came}.")
        if got.dtype != embedding.dtype or not np.array_equal(got, embedding):
            raise Wrong(f"{what} should give what encode gave for it; {show(got)} with other values came.")

    def stats(self) -> dict[str, int]:
        """Return the cache's own figures; `Wrong` if they are none."""
        value = self.bench.call(f"{self.handle}.stats").value
        names = ("hits", "misses", "evictions", "bytes")
        if not isinstance(value, dict) or set(value) != set(names) or not all(type(v) is int for v in value.values()):
            raise Wrong(f"stats() should be a dict of int with {', '.join(names)}; {show(value)} came.")
        return value


def picture(numbers: np.random.Generator, mode: str = "RGB", size: tuple[int, int] | None = None) -> Image.Image:
    """Return a picture of noise."""
    width, height = size or (int(side) for side in numbers.integers(20, 60, 2))
    bands = {"L": 1, "P": 1, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    pixels = numbers.integers(0, 256, width * height * bands, np.uint8).tobytes()
    image = Image.frombytes(mode, (width, height), pixels)
    if mode == "P":
        image.putpalette(palette(numbers))
    return image


def palette(numbers: np.random.Generator) -> bytes:
    """Return 256 colours."""
    return numbers.integers(0, 256, 768, np.uint8).tobytes()


def embedding(numbers: np.random.Generator, rows: int = 4) -> np.ndarray:
    """Return an embedding of 64 bytes a row."""
    return numbers.standard_normal((rows, 16)).astype(np.float32)


def basics(bench: Bench) -> str:
    """One image in, its embedding out, twice."""
    numbers = bench.numbers("basics")
    cache = Client(bench, 1 << 20)
    for mode in ("RGB", "L", "RGBA"):
        image, value = Picture.of(picture(numbers, mode)), embedding(numbers)
        cache.expect(False, f"An image in mode {mode}", image, value)
        cache.expect(True, f"The same image in mode {mode}", image, value)
    return "The first call computes, the second hits, and both give what encode gave."


def same_content(bench: Bench) -> str:
    """The same pixels from other files."""
    numbers = bench.numbers("same")
    image, gray, indexed = (picture(numbers, mode) for mode in ("RGB", "L", "P"))
    text = PngInfo()
    text.add_text("Title", f"number {numbers.integers(10**9)}")
    exif = Image.Exif()
    exif[0x010E] = f"description {numbers.integers(10**9)}"
    pairs = {
        "the same pixels from a BMP file": (Picture.of(image), Picture.of(image, "BMP")),
        "the same pixels from a PNG compressed otherwise": (
            Picture.of(gray, compress_level=0),
            Picture.of(gray, compress_level=9),
        ),
        "the same pixels with text in the file": (Picture.of(image), Picture.of(image, pnginfo=text, dpi=(72, 72))),
        "the same pixels with an EXIF description": (Picture.of(image), Picture.of(image, exif=exif)),
        "the same indices and palette from another file": (
            Picture.of(indexed, compress_level=1),
            Picture.of(indexed, compress_level=9),
        ),
    }
    for what, (first, second) in pairs.items():
        cache, value = Client(bench, 1 << 20), embedding(numbers)
        cache.expect(False, "A first image", first, value)
        cache.expect(True, what, second, value)
    return f"Hits for {', '.join(pairs)}."


def apart(bench: Bench, what: str, pairs: Sequence[tuple[str, Image.Image, Image.Image]]) -> str:
    """See that of each pair, the second misses after the first."""
    numbers = bench.numbers(what)
    for why, first, second in pairs:
        cache = Client(bench, 1 << 20)
        files = [Picture.of(each, "TIFF" if each.mode == "CMYK" else "PNG") for each in (first, second)]
        cache.expect(False, "A first image", files[0], embedding(numbers))
        cache.expect(False, why, files[1], embedding(numbers))
    return f"Misses: {'; '.join(why for why, _, _ in pairs)}."


def sizes(bench: Bench) -> str:
    """Equal bytes in another shape."""
    numbers = bench.numbers("sizes")
    width, height = 30 + int(numbers.integers(9)), 150
    pairs = []
    for mode in ("RGB", "L"):
        image = picture(numbers, mode, (width, height))
        pairs.append(
            (
                f"{height} x {width} with the bytes of {width} x {height} ({mode})",
                image,
                Image.frombytes(mode, (height, width), image.tobytes()),
            )
        )
    return apart(bench, "sizes", pairs)


def modes(bench: Bench) -> str:
    """Equal bytes in another mode."""
    numbers = bench.numbers("modes")
    four, one = picture(numbers, "RGBA"), picture(numbers, "L")
    indexed = Image.frombytes("P", one.size, one.tobytes())
    indexed.putpalette(palette(numbers))
    return apart(
        bench,
        "modes",
        [
            ("CMYK with the bytes of RGBA", four, Image.frombytes("CMYK", four.size, four.tobytes())),
            ("P with the bytes of L", one, indexed),
        ],
    )


def palettes(bench: Bench) -> str:
    """Equal indices with other colours."""
    numbers = bench.numbers("palettes")
    image = picture(numbers, "P")
    other = image.copy()
    colors = bytearray(image.getpalette() or b"")
    colors[int(numbers.integers(len(colors)))] ^= 0xFF
    other.putpalette(bytes(colors))
    return apart(bench, "palettes", [("the same indices with one other colour", image, other)])


def pixels(bench: Bench) -> str:
    """One pixel that differs."""
    numbers = bench.numbers("pixels")
    pairs = []
    for why, size, row in (("the last row", (40, 30), -1), ("the middle of a large image", (900, 700), 350)):
        image = picture(numbers, "RGB", size)
        other = image.copy()
        place = (int(numbers.integers(size[0])), row % size[1])
        red, green, blue = image.getpixel(place)  # type: ignore[misc]
        other.putpixel(place, (red, green, int(blue) ^ 1))
        pairs.append((f"one pixel in {why}, off by one", image, other))
    return apart(bench, "pixels", pairs)


def ids(bench: Bench) -> str:
    """Another model, another preprocessing."""
    numbers = bench.numbers("ids")
    file = Picture.of(picture(numbers))
    cache = Client(bench, 1 << 20)
    value = embedding(numbers)
    cache.expect(False, "A first image", file, value, "clip-a", "crop")
    cache.expect(False, "The same image with another model_id", file, embedding(numbers), "clip-b", "crop")
    cache.expect(False, "The same image with another preprocess_id", file, embedding(numbers), "clip-a", "pad")
    cache.expect(True, "The same image with both first ids", file, value, "clip-a", "crop")
    for mark in ("", ":", "|", "/", "-", "_", " ", "\0"):
        cache.expect(False, "A new pair of ids", file, embedding(numbers), f"x{mark}y", f"z{ord(mark or '!')}")
        what = f"model_id {'x'!r} with preprocess_id {f'y{mark}z'!r} after {f'x{mark}y'!r} with 'z'"
        cache.expect(False, what, file, embedding(numbers), "x", f"y{mark}z{ord(mark or '!')}")
    return "Each pair of ids has an embedding of its own."


class Lru:
    """What a cache must hold, figured out by the judge."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held: OrderedDict[int, int] = OrderedDict()
        self.figures = {"hits": 0, "misses": 0, "evictions": 0, "bytes": 0}

    def get(self, key: int, size: int) -> bool:
        """Return whether a key hits."""
        if key in self.held:
            self.held.move_to_end(key)
            self.figures["hits"] += 1
            return True
        self.figures["misses"] += 1
        if size <= self.max_bytes:
            self.held[key] = size
            while sum(self.held.values()) > self.max_bytes:
                self.held.popitem(last=False)
                self.figures["evictions"] += 1
        self.figures["bytes"] = sum(self.held.values())
        return False


def trace(bench: Bench, what: str, rows: Sequence[int], room: int, length: int) -> tuple[Client, Lru]:
    """Ask for images in random order, and compare every hit and miss with what must be held.

    Args:
        bench: The bench.
        what: Names the chance.
        rows: For each image the rows of its embedding, of 64 bytes.
        room: Rows that fit into the cache.
        length: Number of calls.
    """
    numbers = bench.numbers(what)
    files = [Picture.of(picture(numbers)) for _ in rows]
    values = [embedding(numbers, count) for count in rows]
    cache, must = Client(bench, room * 64), Lru(room * 64)
    history: list[str] = []
    for _ in range(length):
        key = int(numbers.integers(len(rows)))
        hit = must.get(key, values[key].nbytes)
        after = f" after {' '.join(history[-12:])}" if history else ""
        cache.expect(
            hit, f"Image {key} ({values[key].nbytes} bytes, max_bytes={room * 64}){after}", files[key], values[key]
        )
        history.append(str(key))
    return cache, must


def recency(bench: Bench) -> str:
    """Which go first, with embeddings of one size."""
    room = bench.random("recency").randint(3, 5)
    trace(bench, "recency", [4] * (room + 2), room * 4, 40)
    return f"40 calls hit and miss as they should, with room for {room} of {room + 2} embeddings."


def bound(bench: Bench) -> str:
    """What fits, with embeddings of several sizes."""
    chance = bench.random("bound")
    rows = [1, 2, 3, 5, 8, chance.randint(9, 12)]
    room = chance.randint(13, 16)
    trace(bench, "bound", rows, room, 40)
    numbers = bench.numbers("exact")
    cache, exact, file = Client(bench, 6 * 64), embedding(numbers, 6), Picture.of(picture(numbers))
    cache.expect(False, "A first image", file, exact)
    cache.expect(True, f"An embedding of exactly max_bytes ({6 * 64})", file, exact)
    return "What is stored never exceeds max_bytes, and no more goes than must."


def too_large(bench: Bench) -> str:
    """An embedding larger than everything."""
    numbers = bench.numbers("too large")
    cache = Client(bench, 4 * 64)
    small, large = (Picture.of(picture(numbers)) for _ in range(2))
    value, big = embedding(numbers, 2), embedding(numbers, 5)
    cache.expect(False, "A small embedding", small, value)
    for _ in range(2):
        cache.expect(False, "An embedding larger than max_bytes", large, big)
    return "It is returned, and computed again the next time."


def figures(bench: Bench) -> str:
    """stats() after a sequence, and after calls at the same time."""
    cache, must = trace(bench, "figures", [2, 3, 4, 5, 6], 10, 25)
    if cache.stats() != must.figures:
        raise Wrong(f"After 25 calls, stats() should be {_figures(must.figures)}; it is {_figures(cache.stats())}.")
    numbers = bench.numbers("figures together")
    together = Client(bench, 1 << 20)
    value = embedding(numbers)
    _at_once(together, [Picture.of(picture(numbers))] * CALLERS, _Held(value, HOLD))
    got, expected = together.stats(), {"hits": CALLERS - 1, "misses": 1, "evictions": 0, "bytes": value.nbytes}
    if got != expected:
        raise Wrong(
            f"After {CALLERS} calls at once for one key, stats() should be {_figures(expected)}; it is {_figures(got)}."
        )
    return f"After 25 calls: {_figures(must.figures)}; and right after {CALLERS} calls at once."


def _figures(values: dict[str, int]) -> str:
    return ", ".join(f"{name} {values[name]}" for name in ("hits", "misses", "evictions", "bytes"))


class _Held:
    """An `encode` that is held up until it is called a second time, or for a while."""

    def __init__(self, value: np.ndarray, seconds: float, error: Exception | None = None) -> None:
        self.value, self.seconds, self.error = value, seconds, error
        self.calls = 0
        self._lock, self._again = threading.Lock(), threading.Event()

    def __call__(self) -> np.ndarray:
        with self._lock:
            self.calls += 1
            first = self.calls == 1
        if not first:
            self._again.set()
            return self.value
        self._again.wait(self.seconds)
        if self.error:
            raise self.error
        return self.value


def _at_once(cache: Client, files: Sequence[Picture], encode: _Held) -> list[BaseException | None]:
    """Ask for pictures at the same time; return what each call raised."""

    def ask(file: Picture) -> BaseException | None:
        try:
            cache.get(file, encode)
        except CallFailed as error:
            return error
        return None

    with ThreadPoolExecutor(len(files)) as pool:
        return list(pool.map(ask, files))


def once(bench: Bench) -> str:
    """Calls at the same time for one key."""
    numbers = bench.numbers("once")
    image = picture(numbers)
    files = [Picture.of(image, compress_level=level % 9 + 1) for level in range(CALLERS)]
    encode = _Held(embedding(numbers), HOLD)
    for raised in _at_once(Client(bench, 1 << 20), files, encode):
        if raised:
            raise Wrong(f"One of {CALLERS} calls at once raised {raised}.")
    if encode.calls != 1:
        raise Wrong(f"{CALLERS} calls at once for one key should call encode once; it was called {encode.calls} times.")
    return f"{CALLERS} calls at once for one key called encode once."


def apart_in_time(bench: Bench) -> str:
    """Calls for different keys."""
    numbers = bench.numbers("different keys")
    cache = Client(bench, 1 << 20)
    barrier = threading.Barrier(2)
    value = embedding(numbers)

    def meet() -> np.ndarray:
        barrier.wait(BARRIER)
        return value

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(cache.get, Picture.of(picture(numbers)), meet) for _ in range(2)]
        for call in calls:
            try:
                call.result()
            except CallFailed:
                raise Wrong(
                    f"Two calls for different keys should be inside encode at the same time; one waited for the other "
                    f"({BARRIER:g} s)."
                ) from None
    stored, other = (Picture.of(picture(numbers)) for _ in range(2))
    cache.expect(False, "A first image", stored, value)
    done = threading.Event()

    def look_up_meanwhile() -> np.ndarray:
        def look_up() -> None:
            cache.get(stored, lambda: value)
            done.set()

        pool.submit(look_up)
        done.wait(BARRIER)
        return value

    with ThreadPoolExecutor(1) as pool:
        cache.get(other, look_up_meanwhile)
    if not done.is_set():
        raise Wrong("A hit waited for the encode of another key.")
    return "Two different keys were inside encode at once, and a hit didn't wait for another key's encode."


def errors(bench: Bench) -> str:
    """An `encode` that raises."""
    numbers = bench.numbers("errors")
    secret = f"no memory left for {numbers.integers(10**9)}"
    cache, file, value = Client(bench, 1 << 20), Picture.of(picture(numbers)), embedding(numbers)

    def fail() -> np.ndarray:
        raise KeyError(secret)

    try:
        cache.get(file, fail)
        raise Wrong("encode raised KeyError; get_or_compute returned something instead of raising it.")
    except CallFailed as error:
        if not _is(error, secret):
            raise Wrong(f"encode raised KeyError; get_or_compute raised {error} instead.") from None
    cache.expect(False, "The next call after an error", file, value)
    cache.expect(True, "The call after that", file, value)
    return "The error reaches the caller, nothing is stored, and the next call tries again."


def waiters(bench: Bench) -> str:
    """Calls that wait for an `encode` that raises."""
    numbers = bench.numbers("waiters")
    said = ""
    for seconds in (HOLD, 4 * HOLD):  # a call that comes only after the error may rightly try again
        secret = f"no memory left for {numbers.integers(10**9)}"
        file, value = Picture.of(picture(numbers)), embedding(numbers)
        cache, encode = Client(bench, 1 << 20), _Held(value, seconds, ValueError(secret))
        raised = _at_once(cache, [file] * CALLERS, encode)
        saw = sum(isinstance(error, CallFailed) and _is(error, secret, "ValueError") for error in raised)
        if saw == CALLERS and encode.calls == 1:
            cache.expect(False, "The next call after an error", file, value)
            return f"All {CALLERS} calls at once saw the error of the one encode; the next call tried again."
        said = (
            f"encode raised while {CALLERS} calls waited for it: {saw} of them saw the error, and encode was called "
            f"{encode.calls} times; all should see it, from one call."
        )
    raise Wrong(said)


def _is(error: CallFailed, secret: str, kind: str = "KeyError") -> bool:
    return error.kind == kind or secret in error.message


def written(bench: Bench) -> str:
    """Callers that write into what they get."""
    numbers = bench.numbers("written")
    value = embedding(numbers)
    encode = Callback(lambda *_: value)
    seen = bench.call("judged_writes", 1 << 20, Picture.of(picture(numbers)), encode, MODEL, PREPROCESS).value
    for number, got in enumerate(seen):
        if not np.array_equal(got, value):
            raise Wrong(
                f"A caller wrote into the array of {'a miss' if number == 1 else 'a hit'}, and the next caller got the "
                "changed one. Return a copy or a read-only array."
            )
    if len(encode.calls) != 1:
        raise Wrong(f"Three calls for one key should call encode once; it was called {len(encode.calls)} times.")
    return "What a caller does to an array reaches nobody else."


def bad_sizes(bench: Bench) -> str:
    """Caches without room."""
    return bench.refuses([Bad("max_bytes=0", "EmbeddingCache", (0,)), Bad("max_bytes=-1", "EmbeddingCache", (-1,))])


EXERCISE = Exercise(
    "q08",
    ("EmbeddingCache",),
    (
        Probe(
            "computes once", "A first call computes, a second hits, both give what encode gave.", basics, public=True
        ),
        Probe(
            "same content", "The same pixels from another file hit; metadata doesn't count.", same_content, public=True
        ),
        Probe("size in the key", "The same bytes in another shape miss.", sizes, public=True),
        Probe("mode in the key", "The same bytes in another mode miss.", modes),
        Probe("palette in the key", "The same indices with another palette miss.", palettes),
        Probe("pixels in the key", "A picture that differs in one pixel misses.", pixels),
        Probe("ids in the key", "Another model or preprocessing misses.", ids, public=True),
        Probe("least recently used", "The entry that was used longest ago goes first.", recency, public=True),
        Probe("bound", "What is stored never exceeds max_bytes, and what fits stays.", bound),
        Probe("too large", "An embedding larger than max_bytes is returned and not stored.", too_large),
        Probe("encode once", "Calls at the same time for one key call encode once.", once),
        Probe("nobody waits", "Calls for different keys don't wait for each other.", apart_in_time),
        Probe("errors", "What encode raises reaches the caller, and nothing is stored.", errors),
        Probe("waiters", "Every call that waits for an encode sees its error.", waiters),
        Probe("callers' writes", "Writing into a returned array changes nothing for others.", written),
        Probe("stats", "hits, misses, evictions and bytes are right.", figures),
        Probe("bad sizes", "max_bytes <= 0 raises ValueError.", bad_sizes),
        ARGUMENTS,
    ),
    limits=Limits(seconds=6.0),
    also=WRITES,
)
