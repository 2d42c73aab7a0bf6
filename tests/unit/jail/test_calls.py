import threading

import numpy as np
import pytest
from PIL import Image

from sandbox.jail import BadResult, Callback, CallFailed, CallTimedOut, Jail, Limits, Picture, RunEnded

ECHO = "def f(value): return value"


def ask(jail: Jail, source: str, *args: object, **kwargs: object) -> object:
    with jail.open(source) as run:
        return run.call("f", *args, **kwargs).value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**63),
        2**64 - 1,
        1.5,
        -0.0,
        float("inf"),
        "",
        "é" * 1000,
        b"\0\xff",
        [],
        (),
        {},
        [1, (2, [3.0]), {"a": None, 7: "b"}],
        (1, 2),
    ],
    ids=repr,
)
def test_plain_values_come_back_as_they_went(jail: Jail, value: object) -> None:
    back = ask(jail, ECHO, value)
    assert (type(back), repr(back)) == (type(value), repr(value))


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_arrays_come_back_as_they_went(jail: Jail, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    back = ask(jail, ECHO, array)
    assert isinstance(back, np.ndarray)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)


def test_numpy_scalars_come_back_as_python_numbers(jail: Jail) -> None:
    source = "import numpy as np\ndef f(): return [np.float32(0.5), np.int64(3), np.bool_(True), {np.int8(1): 2}]"
    back = ask(jail, source)
    assert repr(back) == "[0.5, 3, True, {1: 2}]"


def test_arguments_can_be_written_to(jail: Jail) -> None:
    np.testing.assert_array_equal(ask(jail, "def f(a):\n    a += 1\n    return a", np.zeros(3)), np.ones(3))


def test_facts_tell_the_order_that_arrays_had(jail: Jail) -> None:
    source = "def f(a): return {'plain': a, 'turned': a.T, 'swapped': [a.astype('>f4')]}"
    with jail.open(source) as run:
        result = run.call("f", np.arange(6, dtype=np.float32).reshape(2, 3))
    facts = {fact.path: (fact.dtype, fact.shape, fact.c_contiguous, fact.native_byte_order) for fact in result.arrays}
    assert facts == {
        "['plain']": ("float32", (2, 3), True, True),
        "['turned']": ("float32", (3, 2), False, True),
        "['swapped'][0]": ("float32", (2, 3), True, False),
    }
    np.testing.assert_array_equal(result.value["swapped"][0], result.value["plain"])


@pytest.mark.parametrize(
    ("body", "modified"),
    [
        ("pass", ()),
        ("array[0] = 5", ("0",)),
        ("words['list'].append(1)", ("words",)),
        ("array.shape = (1, 3)", ("0",)),
        ("picture.load()", ()),
        ("picture.convert('L')", ()),
        ("picture.thumbnail((2, 2))", ("picture",)),
        ("picture.putpixel((0, 0), 9)", ("picture",)),
    ],
)
def test_changed_arguments_are_named(jail: Jail, body: str, modified: tuple[str, ...]) -> None:
    with jail.open(f"def f(array, words, picture):\n    {body}") as run:
        picture = Picture.of(Image.new("L", (8, 8), 100))
        assert run.call("f", np.arange(3), words={"list": [0]}, picture=picture).modified == modified


def test_a_picture_arrives_as_its_file(jail: Jail) -> None:
    image = Image.new("RGB", (4, 2), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    picture = Picture.of(image, "JPEG", exif=exif)
    assert ask(jail, "def f(p): return [p.format, p.size, p.getexif()[0x0112]]", picture) == ["JPEG", (4, 2), 6]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_a_picture_comes_back_with_mode_and_pixels(jail: Jail, mode: str) -> None:
    image = Image.effect_noise((13, 7), 80)
    image = image.convert("RGB").convert("RGBA").convert(mode) if mode == "LA" else image.convert(mode)
    back = ask(
        jail, f"from PIL import Image\ndef f(p, m): return Image.frombytes({mode!r}, (13, 7), p)", image.tobytes(), 0
    )
    assert isinstance(back, Picture)
    assert (back.image().mode, back.image().size, back.image().tobytes()) == (mode, (13, 7), image.tobytes())


def test_a_palette_comes_back_with_its_picture(jail: Jail) -> None:
    image = Image.effect_noise((13, 7), 80).convert("RGB").quantize(5)
    back = ask(jail, "def f(p): return p", Picture.of(image))
    assert isinstance(back, Picture)
    assert back.image().convert("RGB").tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("(x for x in ())", "generator"),
        ("object()", "object"),
        ("{1.5: 2}", "key of type float"),
        ("1j", "complex"),
        ("2**64", "64 bits"),
        ("'\\ud800'", "half a character"),
        ("np.array([None])", "dtype object"),
        ("np.array(['a'])", "dtype <U1"),
        ("np.zeros(2, 'f4,i4')", "dtype"),
        ("np.zeros(2, complex)", "dtype complex128"),
        ("np.zeros(2, np.longdouble)", "dtype"),
        ("np.longdouble(1)", "can't be handed over"),
        ("np.matrix([[1]])", "matrix, not exactly a numpy.ndarray"),
        ("np.ma.zeros(2)", "MaskedArray, not exactly a numpy.ndarray"),
        ("np.zeros((5000, 5000))", "64 MiB"),
        ("[0] * 300_000", "200,000 values"),
        ("nested()", "levels deep"),
        ("{'a': [set()]}", "['a'][0] is a set"),
    ],
)
def test_what_may_not_cross_is_refused_with_a_sentence(jail: Jail, expression: str, sentence: str) -> None:
    nested = "def nested():\n    v = []\n    for _ in range(100): v = [v]\n    return v\n"
    with jail.open(f"import numpy as np\n{nested}def f(): return {expression}\ndef g(): return 1") as run:
        with pytest.raises(BadResult) as refused:
            run.call("f")
        assert sentence in str(refused.value)
        assert run.call("g").value == 1


def test_nan_is_left_to_the_judge(jail: Jail) -> None:
    back = ask(jail, "import numpy as np\ndef f(): return [float('nan'), np.full(2, np.nan)]")
    assert np.isnan(back[0])  # type: ignore[index]
    assert np.isnan(back[1]).all()  # type: ignore[index]


def test_an_error_tells_its_kind_and_the_candidates_own_lines(jail: Jail) -> None:
    source = "import json\ndef g(text):\n    return json.loads(text)\ndef f():\n    g('{')"
    with jail.open(source) as run, pytest.raises(CallFailed) as failed:
        run.call("f")
    assert failed.value.kind == "JSONDecodeError"
    assert [line.strip() for line in failed.value.traceback.splitlines() if "File" in line] == [
        'File "answer.py", line 5, in f',
        'File "answer.py", line 3, in g',
    ]


@pytest.mark.parametrize(
    ("source", "kind"),
    [("def f(:", "SyntaxError"), ("x = 1 / 0", "ZeroDivisionError"), ("raise SystemExit(0)", "SystemExit")],
)
def test_a_module_that_raises_is_never_opened(jail: Jail, source: str, kind: str) -> None:
    with pytest.raises(CallFailed) as failed, jail.open(source):
        pass
    assert failed.value.kind == kind
    assert "answer.py" in failed.value.traceback


def test_calls_that_raise_leave_nothing_behind(jail: Jail) -> None:
    with jail.open("def f(value):\n    if value < 40:\n        raise KeyError(value)\n    return value") as run:
        for value in range(40):
            with pytest.raises(CallFailed):
                run.call("f", value)
        assert run.call("f", 40).value == 40


def test_an_error_is_also_what_its_class_inherits_from(jail: Jail) -> None:
    source = "class TooLong(ValueError): pass\ndef f(): raise TooLong('no')"
    with jail.open(source) as run, pytest.raises(CallFailed) as raised:
        run.call("f")
    assert (raised.value.kind, raised.value.is_a("ValueError"), raised.value.is_a("KeyError")) == (
        "TooLong",
        True,
        False,
    )


def test_a_missing_function_is_named(jail: Jail) -> None:
    with jail.open("x = 1") as run:
        assert not run.has("f")
        with pytest.raises(CallFailed, match="defines no 'f'"):
            run.call("f")


def test_an_import_of_what_is_not_there_says_what_is(jail: Jail) -> None:
    with (
        pytest.raises(CallFailed, match="may import numpy, PIL and these modules") as failed,
        jail.open("import torch"),
    ):
        pass
    assert failed.value.kind == "ModuleNotFoundError"


def test_modules_that_may_be_imported_work(jail: Jail) -> None:
    source = """
from __future__ import annotations
import cmath, fractions, heapq, hashlib, statistics, textwrap, zlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
import numpy.linalg
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageDraw, ImageFont, ImageOps
import io

@dataclass
class Size:
    width: int

def f():
    files = []
    for format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, format)
        files.append(Image.open(io.BytesIO(file.getvalue())).convert("L").size)
    ImageDraw.Draw(Image.new("L", (50, 20))).text((0, 0), "x", font=ImageFont.load_default())
    with ThreadPoolExecutor(4) as pool:
        squares = list(pool.map(lambda x: x * x, range(5)))
    return [set(files) == {(8, 8)}, squares, np.linalg.norm([3.0, 4.0]), datetime.strptime("2026", "%Y").year,
            "é".encode("latin-1"), sliding_window_view(np.arange(3), 2).shape, Size(3).width, np.random.rand(2).shape]
"""
    assert ask(jail, source) == [True, [0, 1, 4, 9, 16], 5.0, 2026, b"\xe9", (2, 2), 3, (2,)]


def test_random_numbers_differ_from_run_to_run(jail: Jail) -> None:
    source = "import random\nimport numpy as np\ndef f(): return [random.random(), float(np.random.rand())]"
    first, second = ask(jail, source), ask(jail, source)
    assert not set(first) & set(second)  # type: ignore[call-overload]


def test_an_instance_stays_inside_from_call_to_call(jail: Jail) -> None:
    source = """
class Counter:
    def __init__(self, n): self.n = n
    def add(self, m):
        self.n += m
        return self.n
"""
    with jail.open(source) as run:
        run.make("counter", "Counter", 5)
        assert run.has("counter.add")
        assert [run.call("counter.add", 1).value, run.call("counter.add", m=2).value] == [6, 8]


def test_prints_arrive_in_order_before_the_answer(jail: Jail) -> None:
    heard: list[str] = []
    with jail.open("print('loaded')\ndef f():\n    print('é')", on_print=heard.append) as run:
        assert run.prints == "loaded\n"
        run.call("f")
        assert run.prints == "".join(heard) == "loaded\né\n"
        assert not run.print_truncated


def test_prints_beyond_the_limit_are_dropped_and_it_is_told(jail: Jail) -> None:
    with jail.open("def f(): print('x' * 1000)", limits=Limits(print_chars=10)) as run:
        run.call("f")
        assert (run.prints, run.print_truncated) == ("x" * 10, True)


def test_a_callback_runs_here_and_its_result_goes_back(jail: Jail) -> None:
    encode = Callback(lambda images, scale: np.full((len(images), 2), scale, np.float32))
    source = "def f(p, encode): return encode([p, p.rotate(90)], scale=3) + 1"
    with jail.open(source) as run:
        value = run.call("f", Picture.of(Image.new("L", (4, 2))), encode).value
    np.testing.assert_array_equal(value, np.full((2, 2), 4, np.float32))
    (((images,), kwargs),) = encode.calls
    assert [image.image().size for image in images] == [(4, 2), (4, 2)]
    assert kwargs == {"scale": 3}


def test_what_a_callback_raises_is_raised_inside(jail: Jail) -> None:
    def refuse() -> None:
        raise KeyError("no such picture")

    source = "def f(g):\n    try: g()\n    except KeyError as error: return str(error)"
    assert "no such picture" in str(ask(jail, source, Callback(refuse)))


def test_a_callback_is_called_no_more_than_allowed(jail: Jail) -> None:
    source = """
def f(g):
    for n in range(9):
        try: g()
        except RuntimeError: return n
"""
    count = Callback(lambda: None, max_calls=3)
    assert ask(jail, source, count) == 3
    assert len(count.calls) == 3


def test_the_time_of_callbacks_is_not_the_candidates(jail: Jail) -> None:
    never = threading.Event()
    with jail.open("def f(g): return g()", limits=Limits(seconds=1, total_seconds=1)) as run:
        assert run.call("f", Callback(lambda: never.wait(1.5))).value is False


def test_calls_run_at_once_and_meet_in_their_callbacks(jail: Jail) -> None:
    meeting = threading.Barrier(4)
    values: list[object] = []
    with jail.open("def f(n, g): return [n, g(n)]") as run:
        threads = [
            threading.Thread(
                target=lambda n=n: values.append(run.call("f", n, Callback(lambda _: meeting.wait(5) >= 0)).value)
            )
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(values) == [[n, True] for n in range(4)]  # type: ignore[type-var]


def test_a_call_that_takes_too_long_ends_the_run(jail: Jail) -> None:
    with jail.open("def f():\n    while True: pass", limits=Limits(seconds=0.3)) as run:
        with pytest.raises(CallTimedOut):
            run.call("f")
        with pytest.raises(RunEnded) as ended:
            run.call("f")
        assert ended.value.reason == "timed out"


def test_all_calls_together_have_a_limit(jail: Jail) -> None:
    def call_often() -> None:
        for _ in range(100):
            run.call("f")

    with jail.open("import time\ndef f(): time.sleep(0.05)", limits=Limits(total_seconds=0.5)) as run:
        with pytest.raises(CallTimedOut):
            call_often()
        assert run.seconds >= 0.5


def test_a_run_can_be_stopped(jail: Jail) -> None:
    stop = threading.Event()
    with jail.open("import time\ndef f(): time.sleep(9)", stop=stop) as run:
        threading.Timer(0.1, stop.set).start()
        with pytest.raises(RunEnded) as ended:
            run.call("f")
        assert ended.value.reason == "stopped"


def test_memory_beyond_the_limit_is_an_error_of_the_call(jail: Jail) -> None:
    with jail.open("def f(): return len(bytearray(200 << 20))", limits=Limits(memory_bytes=150 << 20)) as run:
        with pytest.raises(CallFailed) as failed:
            run.call("f")
        assert failed.value.kind == "MemoryError"


def test_arguments_beyond_the_memory_are_an_error_of_the_call(jail: Jail) -> None:
    with jail.open(ECHO, limits=Limits(memory_bytes=50 << 20)) as run:
        for argument in (bytes(100 << 20), np.zeros(100 << 17)):
            with pytest.raises(CallFailed) as failed:
                run.call("f", argument)
            assert failed.value.kind.endswith("MemoryError")
        assert run.call("f", 1).value == 1


def test_an_argument_that_can_not_be_sent_is_the_callers_mistake(jail: Jail) -> None:
    with jail.open(ECHO) as run, pytest.raises(TypeError, match=r"\[0\]\[0\] is a object"):
        run.call("f", object())


def test_peak_memory_is_that_of_the_call_alone(jail: Jail) -> None:
    source = "import numpy as np\ndef f(n): return float(np.ones(n << 17).sum())"
    with jail.open(source) as run:
        run.call("f", 1)
        peaks = [run.call("f", mebibytes).peak_bytes for mebibytes in (100, 20, 50)]
    assert [round((peak or 0) / (10 << 20)) for peak in peaks] == [10, 2, 5]
