import random
from typing import Any

import numpy as np
import pytest

from sandbox.jail.inside import wire
from sandbox.jail.values import Picture

WORDS = ["", "l", "t", "d", "s", "b", "a", "p", "r", "c", "z", "<f4", "|u1", "|O", ">i8", "RGB", "L", "1", "\ud800"]
NUMBERS = [0, 1, 2, 3, 7, 8, -1, 2**31, 2**40, 2**63, 10**30, 1.0, float("nan"), float("inf"), True, False, None]


def special(tag: str, rest: list[Any], body: wire.Body) -> Any:
    if tag != "r" or len(rest) != 5:
        raise wire.Malformed("a node that is none")
    return Picture.from_raw(*rest[:3], body.take(rest[3]), body.take(rest[4]))


def noise(chance: random.Random, depth: int = 0) -> Any:
    """Return something that a hostile head could hold, often close to a real node."""
    kind = chance.random()
    if depth > 4 or kind < 0.35:
        return chance.choice(WORDS + NUMBERS)
    if kind < 0.45:
        return {"a": noise(chance, depth + 1)}
    if kind < 0.6:
        shape = [chance.choice(NUMBERS) for _ in range(chance.randrange(4))]
        return ["a", chance.choice(WORDS), shape, True, True]
    if kind < 0.7:
        return ["r", chance.choice(WORDS), *(chance.choice(NUMBERS) for _ in range(4))]
    return [chance.choice(WORDS[:11]), *(noise(chance, depth + 1) for _ in range(chance.randrange(5)))]


def test_noise_is_malformed_or_a_plain_value_and_nothing_else_happens() -> None:
    chance = random.Random(5)
    outcomes = {"malformed": 0, "value": 0}
    for _ in range(30_000):
        body = wire.Body.of(chance.randbytes(chance.choice([0, 1, 8, 64])))
        try:
            wire.Decoder(special, body).value(noise(chance))
            outcomes["value"] += 1
        except (wire.Malformed, ValueError, TypeError, IndexError):
            outcomes["malformed"] += 1
    assert min(outcomes.values()) > 1000


def test_what_is_encoded_is_decoded() -> None:
    value = {"a": [np.arange(6, dtype=np.int16).reshape(2, 3)[:, ::-1], (b"x" * 300, "é" * 300)], 3: {"n": None}}
    encoder = wire.Encoder(lambda value, buffers: None, 1 << 20)
    pieces = wire.pack({"value": encoder.node(value)}, encoder.buffers)
    data = b"".join(pieces)
    head_length, body_length = wire.LENGTHS.unpack_from(data)
    start = wire.LENGTHS.size
    assert len(data) == start + head_length + body_length
    head = wire.unpack_head(data[start : start + head_length])
    body = wire.Body.of(data[start + head_length :])
    back = wire.Decoder(special, body).value(head["value"])
    assert body.left == 0
    np.testing.assert_array_equal(back["a"][0], value["a"][0])  # type: ignore[index]
    assert back["a"][1:] == value["a"][1:]  # type: ignore[index]
    assert back[3] == value[3]


@pytest.mark.parametrize(
    "head", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 100_000, b"[" + b"0," * 2_000_000, b'{"a":1}x']
)
def test_a_head_that_is_no_object_is_malformed(head: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.unpack_head(head)
