"""What is told of a candidate's code stays true when the code replaces what it can name."""

import numpy as np
import pytest
from PIL import Image

from sandbox.jail import BadResult, Callback, CallTimedOut, Jail, Limits, Picture, RunEnded

PATCHES = {
    "numpy": """
import numpy as np
for name in ("ascontiguousarray", "array", "asarray", "allclose", "array_equal", "frombuffer", "empty", "ndarray"):
    setattr(np, name, lambda *a, **k: True)
""",
    "builtins": """
import sys
for name in ("issubclass", "type", "repr", "bool", "id", "hash", "any", "all"):
    setattr(sys.modules["builtins"], name, lambda *a, **k: True)
""",
    "checksums": """
import zlib
zlib.crc32 = lambda *a: 0
""",
    "the clock": """
import time
for name in ("time", "monotonic", "perf_counter", "process_time"):
    setattr(time, name, lambda: 0.0)
""",
    "pictures": """
from PIL import Image
Image.open = lambda *a, **k: None
Image.Image.tobytes = lambda *a, **k: b""
""",
    "the modules of the jail": """
import sys
for name, module in list(sys.modules.items()):
    for attribute in ("digest", "encode_picture", "Encoder", "Call", "raw"):
        if name.startswith(("inside", "__main__")) or "wire" in name or "worker" in name:
            setattr(module, attribute, lambda *a, **k: b"")
""",
    "tracing": """
import sys, threading
sys.settrace(lambda *a: None)
sys.setprofile(lambda *a: None)
threading.settrace(lambda *a: None)
""",
    "output": """
import sys
sys.stdout = sys.stderr = sys.__stdout__ = None
""",
}

HONEST = """
def f(array, picture):
    picture.putpixel((0, 0), 9)
    array[0, 0] = 7
    return array.T
"""


@pytest.mark.parametrize("patched", PATCHES)
def test_facts_are_true_when_it_patches(jail: Jail, patched: str) -> None:
    with jail.open(PATCHES[patched] + HONEST) as run:
        picture = Picture.of(Image.new("L", (8, 8), 100), "BMP")
        result = run.call("f", np.arange(6.0).reshape(2, 3), picture)
    assert [fact.c_contiguous for fact in result.arrays] == [False]
    assert result.modified == ("0", "1")
    np.testing.assert_array_equal(result.value, [[7, 3], [1, 4], [2, 5]])


@pytest.mark.parametrize("name", ["isinstance", "len"])
def test_taking_away_what_python_itself_needs_ends_the_run_alone(jail: Jail, name: str) -> None:
    source = f"import sys\nsetattr(sys.modules['builtins'], {name!r}, lambda *a: True)\ndef f(a): return a"
    with pytest.raises((CallTimedOut, RunEnded)), jail.open(source, limits=Limits(seconds=0.3)) as run:
        run.call("f", [1])
    with jail.open(HONEST) as run:
        assert run.has("f")


def test_an_array_that_lies_about_itself_is_refused(jail: Jail) -> None:
    source = """
import numpy as np
class Agreeable(np.ndarray):
    __class__ = np.ndarray
    def __eq__(self, other): return True
    def __array__(self, *a, **k): return np.zeros(2)
class Anything:
    __class__ = np.ndarray
    def __getattr__(self, name): return self
    def __eq__(self, other): return True
def f(): return np.zeros(2).view(Agreeable)
def g(): return Anything()
"""
    with jail.open(source) as run:
        for name in ("f", "g"):
            with pytest.raises(BadResult):
                run.call(name)


def test_an_answer_written_in_advance_ends_the_run(jail: Jail) -> None:
    source = """
import sys, json, struct
head = json.dumps({"id": "0123456789abcdef", "kind": "value", "value": 42}).encode()
sys.modules["os"].write(4, struct.pack("<IQ", len(head), 0) + head)
def f(): return 1
"""
    with pytest.raises(RunEnded) as ended, jail.open(source) as run:
        run.call("f")
    assert ended.value.reason == "channel"


def test_printing_a_verdict_is_only_printing(jail: Jail) -> None:
    with jail.open('def f(): print(\'PASSED\', \'{"kind": "value", "value": 42}\')') as run:
        assert run.call("f").value is None
        assert run.prints.startswith("PASSED")


def test_a_stopped_clock_inside_does_not_stop_the_hosts(jail: Jail) -> None:
    with jail.open(PATCHES["the clock"] + "def f():\n    while True: pass", limits=Limits(seconds=0.2)) as run:
        with pytest.raises(CallTimedOut):
            run.call("f")
        assert run.seconds >= 0.2


def test_peak_memory_is_the_kernels_count(jail: Jail) -> None:
    source = """
import sys
sys.modules["resource"].getrusage = lambda *a: None
def f():
    block = bytearray(80 << 20)
    for place in range(0, len(block), 4096): block[place] = 1
"""
    with jail.open(source) as run:
        peak = run.call("f").peak_bytes
    assert peak is not None
    assert 79 << 20 <= peak < 90 << 20


def test_a_callback_kept_from_an_earlier_call_still_reaches_the_host(jail: Jail) -> None:
    source = """
class Keeper:
    def __init__(self, encode): self.encode = encode
    def use(self, x): return self.encode(x)
"""
    doubled = Callback(lambda x: 2 * x)
    with jail.open(source) as run:
        run.make("keeper", "Keeper", doubled)
        assert run.call("keeper.use", 21).value == 42
