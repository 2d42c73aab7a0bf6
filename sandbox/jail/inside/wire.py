"""How values cross the border: plain data and arrays, decoded as if every byte were hostile.

A frame is a head length (u32), a body length (u64), a JSON head and a body. The head says what the frame is and holds
the value's tree; long texts, bytes, arrays and pictures lie one after another in the body. Nothing is ever unpickled,
and no size is believed before it is checked against what is there.

| node | value |
| --- | --- |
| null, true, 1, 1.5, "short" | itself; NaN and infinities as Python's json writes them |
| ["s", bytes] | a long text, UTF-8 |
| ["b", bytes] | bytes |
| ["l", ...], ["t", ...] | list, tuple |
| ["d", key, value, ...] | dict with str or int keys |
| ["a", dtype, shape, contiguous, native] | an array in C order, little-endian; what its order was at its origin |
| ["p", bytes], ["r", mode, width, height, bytes, palette], ["c", number] | encoded picture, raw picture, callback |
"""

from __future__ import annotations

import builtins
import math
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from json import JSONEncoder, loads
from typing import Any

import numpy as np

# A private copy: a candidate who replaces len() or isinstance() does not replace them here.
globals()["__builtins__"] = dict(vars(builtins))

LENGTHS = struct.Struct("<IQ")
MAX_HEAD = 4 << 20
MAX_ITEMS = 200_000
MAX_DEPTH = 16
MAX_INT = 1 << 64
SHORT_TEXT = 256
PIECE = 1 << 20
MAX_SIDE = 65_535
DTYPES = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
MAX_NDIM = 16

Buffer = bytes | memoryview
Special = Callable[[Any, list[Buffer]], list[Any] | None]
SpecialBack = Callable[[str, list[Any], "Body"], Any]

_json = JSONEncoder(ensure_ascii=True, check_circular=False, separators=(",", ":")).encode
_ndarray, _generic, _empty, _frombuffer = np.ndarray, np.generic, np.empty, np.frombuffer
_float64 = np.float64


class Unsendable(Exception):
    """A value that may not cross; the text says which and why."""


class Malformed(Exception):
    """Bytes that are no value; the text says why."""


def pack(head: dict[str, Any], buffers: list[Buffer]) -> list[Buffer]:
    """Return a frame as pieces to write; Unsendable if its head is too long."""
    text = _json(head).encode()
    if len(text) > MAX_HEAD:
        raise Unsendable(f"it holds too much text and too many small values (over {MAX_HEAD >> 20} MiB)")
    return [LENGTHS.pack(len(text), sum(len(buffer) for buffer in buffers)) + text, *buffers]


def unpack_head(text: bytes | bytearray) -> dict[str, Any]:
    """Return a frame's head; Malformed if it is no JSON object or holds more values than can be meant."""
    # Counted before parsing: '[[],[],' takes forty times its length in memory.
    if text.count(b",") + text.count(b"[") > 5 * MAX_ITEMS:
        raise Malformed("too many values")
    try:
        head = loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON: {type(error).__name__}") from None
    if type(head) is not dict:
        raise Malformed("no JSON object")
    return head


class Encoder:
    """Turns one value into a tree and the buffers of its body.

    Args:
        special: Encodes what only one side knows (pictures, callbacks): appends to the buffers and returns a node, or
            returns None for a value that it doesn't know.
        max_bytes: Most bytes in the body.
    """

    def __init__(self, special: Special, max_bytes: int) -> None:
        self.special = special
        self.max_bytes = max_bytes
        self.buffers: list[Buffer] = []
        self.bytes = 0
        self.items = 0

    def node(self, value: Any, path: str = "", depth: int = 0) -> Any:
        """Return a value's node; Unsendable with its path if it may not cross."""
        self.items += 1
        if self.items > MAX_ITEMS:
            raise Unsendable(f"it holds more than {MAX_ITEMS:,} values")
        if depth > MAX_DEPTH:
            raise Unsendable(f"it is nested more than {MAX_DEPTH} levels deep")
        kind = type(value)
        if issubclass(kind, _generic):
            value = self._scalar(value, path)
            kind = type(value)
        if value is None or kind is bool:
            return value
        if issubclass(kind, int):
            number = int.__int__(value)
            if not -MAX_INT < number < MAX_INT:
                raise Unsendable(f"{at(path)}is an integer of more than 64 bits")
            return number
        if issubclass(kind, float):
            return float.__float__(value)
        if issubclass(kind, str):
            return self._text(str.__str__(value), path)
        if kind is bytes or kind is bytearray:
            self._add(bytes(value))
            return ["b", len(value)]
        if kind is _ndarray:
            return self._array(value, path)
        if issubclass(kind, _ndarray):
            raise Unsendable(f"{at(path)}is a {kind.__name__}, not exactly a numpy.ndarray")
        if issubclass(kind, list):
            return ["l", *[self.node(v, f"{path}[{i}]", depth + 1) for i, v in enumerate(list.__iter__(value))]]
        if issubclass(kind, tuple):
            return ["t", *[self.node(v, f"{path}[{i}]", depth + 1) for i, v in enumerate(tuple.__iter__(value))]]
        if issubclass(kind, dict):
            return ["d", *self._pairs(value, path, depth)]
        known = self.special(value, self.buffers)
        if known is None:
            raise Unsendable(f"{at(path)}is a {kind.__name__}, which can't be handed over: {ALLOWED}")
        self._count(sum(len(buffer) for buffer in self.buffers) - self.bytes)
        return known

    def _pairs(self, value: Any, path: str, depth: int) -> Iterator[Any]:
        for key, each in dict.items(value):
            if issubclass(type(key), _generic):
                key = self._scalar(key, path)
            if type(key) not in (str, int):
                raise Unsendable(
                    f"{at(path)}is a dict with a key of type {type(key).__name__}; only str and int may be"
                )
            where = f"{path}[{key!r:.60}]"
            yield self.node(key, where, depth + 1)
            yield self.node(each, where, depth + 1)

    def _scalar(self, value: Any, path: str) -> Any:
        plain = value.item()
        if type(plain) not in (bool, int, float, str):
            raise Unsendable(f"{at(path)}is a number of type {value.dtype}, which can't be handed over")
        return plain

    def _text(self, text: str, path: str) -> Any:
        try:
            encoded = text.encode()
        except UnicodeEncodeError:
            raise Unsendable(f"{at(path)}is a text with half a character (a lone surrogate)") from None
        if len(text) <= SHORT_TEXT:
            return text
        self._add(encoded)
        return ["s", len(encoded)]

    def _array(self, array: np.ndarray, path: str) -> list[Any]:
        dtype = array.dtype
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise Unsendable(
                f"{at(path)}is an array of dtype {dtype}; booleans, integers and floats can be handed over"
            )
        native, contiguous = bool(dtype.isnative), bool(array.flags.c_contiguous)
        if not native:
            array = array.astype(dtype.newbyteorder("="))
        if array.size:
            # No copy where the bytes lie in order already: a copy would count as the candidate's memory.
            self._add(raw(array))
        return ["a", array.dtype.str, list(array.shape), contiguous, native]

    def _add(self, buffer: Buffer) -> None:
        self.buffers.append(buffer)
        self._count(len(buffer))

    def _count(self, more: int) -> None:
        self.bytes += more
        if self.bytes > self.max_bytes:
            raise Unsendable(f"it takes more than {self.max_bytes / (1 << 20):g} MiB")


class Body:
    """A frame's body, taken piece by piece and never beyond its length."""

    def __init__(self, length: int, fill: Callable[[memoryview], None]) -> None:
        self.left = length
        self._fill = fill

    @classmethod
    def of(cls, data: bytes | bytearray) -> Body:
        """Return the body that these bytes are."""
        rest = memoryview(data)

        def fill(target: memoryview) -> None:
            nonlocal rest
            target[:] = rest[: len(target)]
            rest = rest[len(target) :]

        return cls(len(data), fill)

    def take(self, length: Any) -> bytes:
        """Return the next bytes; Malformed if the length is no length or there are fewer."""
        if type(length) is not int or not 0 <= length <= self.left:
            raise Malformed("a length that lies")
        taken = BytesIO()  # gives its bytes away without a copy, which would count as the candidate's memory
        while length:
            piece = memoryview(bytearray(min(length, PIECE)))
            self.left -= len(piece)
            length -= len(piece)
            self._fill(piece)
            taken.write(piece)
        return taken.getvalue()

    def drop(self) -> None:
        """Take what is left and keep none of it."""
        while self.left:
            self.take(min(self.left, 1 << 16))

    def array(self, dtype: Any, shape: Any) -> np.ndarray:
        """Return the next bytes as an array of their own; Malformed for any other dtype, shape or size."""
        if dtype not in DTYPES:
            raise Malformed("a dtype that may not cross")
        if type(shape) is not list or len(shape) > MAX_NDIM:
            raise Malformed("a shape that is none")
        if not all(type(side) is int and 0 <= side < 1 << 40 for side in shape):
            raise Malformed("a shape that is none")
        size = math.prod(shape) * int(dtype[2:])
        if size > self.left:
            raise Malformed("an array that claims more bytes than there are")
        array = _empty(shape, dtype)
        if size:
            self.left -= size
            self._fill(raw(array))
        return array


class Decoder:
    """Turns a tree and a body back into a value; Malformed for whatever `Encoder` wouldn't have written.

    `arrays` collects (path, contiguous, native, array) of every array met.
    """

    def __init__(self, special: SpecialBack, body: Body) -> None:
        self.special = special
        self.body = body
        self.items = 0
        self.arrays: list[tuple[str, bool, bool, np.ndarray]] = []

    def value(self, node: Any, path: str = "", depth: int = 0) -> Any:
        """Return a node's value."""
        self.items += 1
        if self.items > MAX_ITEMS or depth > MAX_DEPTH:
            raise Malformed("too many values, or nested too deep")
        kind = type(node)
        if node is None or kind is bool or kind is float:
            return node
        if kind is int:
            if not -MAX_INT < node < MAX_INT:
                raise Malformed("an integer of more than 64 bits")
            return node
        if kind is str:
            return well_formed(node)
        if kind is not list or not node or type(node[0]) is not str:
            raise Malformed("a node that is none")
        tag, rest = node[0], node[1:]
        if tag == "l":
            return [self.value(each, f"{path}[{i}]", depth + 1) for i, each in enumerate(rest)]
        if tag == "t":
            return tuple(self.value(each, f"{path}[{i}]", depth + 1) for i, each in enumerate(rest))
        if tag == "d":
            return self._dict(rest, path, depth)
        if tag == "s" and len(rest) == 1:
            try:
                return self.body.take(rest[0]).decode()
            except UnicodeDecodeError:
                raise Malformed("a text that is no UTF-8") from None
        if tag == "b" and len(rest) == 1:
            return self.body.take(rest[0])
        if tag == "a" and len(rest) == 4:
            array = self.body.array(rest[0], rest[1])
            self.arrays.append((path, rest[2] is True, rest[3] is True, array))
            return array
        return self.special(tag, rest, self.body)

    def _dict(self, rest: list[Any], path: str, depth: int) -> dict[Any, Any]:
        if len(rest) % 2:
            raise Malformed("a dict with a key and no value")
        result: dict[Any, Any] = {}
        for key_node, node in zip(rest[::2], rest[1::2], strict=True):
            key = self.value(key_node, path, depth + 1)
            if type(key) not in (str, int) or key in result:
                raise Malformed("a dict with a key that is none, or twice")
            result[key] = self.value(node, f"{path}[{key!r:.60}]", depth + 1)
        return result


def raw(array: np.ndarray) -> memoryview:
    """Return an array's bytes in C order; no copy where they lie so already. Not for empty arrays."""
    return memoryview(array.reshape(-1).view("u1"))  # type: ignore[arg-type]


def well_formed(text: str) -> str:
    """Return a text that UTF-8 can write; Malformed otherwise."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Malformed("a text with half a character") from None
    return text


def at(path: str) -> str:
    """Return the beginning of a sentence about a part of the value."""
    return f"{path} " if path else "it "


ALLOWED = (
    "only None, booleans, numbers, texts, bytes, lists, tuples, dicts, numpy arrays and PIL images can, "
    "so turn it into one of them first"
)
