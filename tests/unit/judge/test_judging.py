"""What the judge does with any code: hostile, broken, slow, or right."""

import io
import threading

import pytest
from PIL import Image

from sandbox import BadOption, Check, Engine, judge
from sandbox.jail import Jail
from sandbox.judge import find, probes_of
from tests.unit.judge import q05, q06, q07, q08, q10
from tests.unit.judge.conftest import Examine

STATIC = "static video"


def failures(checks: dict[str, Check]) -> list[str]:
    return [name for name, check in checks.items() if not check.passed]


def test_an_unknown_exercise_is_refused_with_the_known_ones(jail: Jail) -> None:
    with pytest.raises(BadOption, match="q04, q05"):
        judge("q01", "", jail=jail)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def sample_frames(", "could not be loaded: SyntaxError"),
        ("raise RuntimeError('boom')", "could not be loaded: RuntimeError: boom"),
        ("import torch", "could not be loaded: ModuleNotFoundError"),
        ("x = 1", "is missing: answer.py defines no 'sample_frames'"),
        ("sample_frames = 7", "is missing: 'sample_frames' is no function"),
        ("def sample_frames(n, fps, budget, diff): return None", "a list of int is expected; None came"),
        ("def sample_frames(n, fps, budget, diff): return [0, None]", "a list of int is expected"),
        ("def sample_frames(n, fps, budget, diff): return [object()]", "is a object, which can't be handed over"),
        ("def sample_frames(n, fps, budget, diff): return list(range(300_000))", "more than 200,000 values"),
        ("def sample_frames(n, fps, budget, diff): return 'x' * 10**8", "more than 64 MiB"),
        ("def sample_frames(n, fps, budget, diff): return diff[n]", "raised IndexError"),
        ("import os\ndef sample_frames(n, fps, budget, diff): os._exit(0)", "sample_frames"),
        ("import sys\ndef sample_frames(n, fps, budget, diff): sys.exit()", "raised SystemExit"),
        (
            "def sample_frames(n, fps, budget, diff): return sample_frames(n, fps, budget, diff)",
            "raised RecursionError",
        ),
    ],
)
def test_broken_code_fails_its_checks_with_a_sentence(examine: Examine, source: str, sentence: str) -> None:
    names = [probe.name for probe in find("q10").probes]
    checks = examine("q10", source, names)
    assert list(checks) == names
    assert sentence in checks["form"].detail or "could not be loaded" in checks["form"].detail
    assert "form" in failures(checks)
    assert not any("could not be judged" in check.detail for check in checks.values())


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("np.full((3, size, size), np.nan, np.float32)", "NaN or infinite"),
        ("np.array([[None]])", "dtype object"),
        ("np.zeros((3, size, size), np.float32).view(Lazy)", "not exactly a numpy.ndarray"),
        ("np.zeros((3, size, size), '>f4')", "native byte order"),
        ("np.zeros((3, 5000, 5000), np.float32)", "more than 64 MiB"),
        ("[[0.0]]", "should be a numpy array"),
        ("np.zeros((3, size, size), np.float16)", "should be float32"),
    ],
)
def test_arrays_that_are_none_fail_with_a_sentence(examine: Examine, expression: str, sentence: str) -> None:
    source = (
        "import numpy as np\nclass Lazy(np.ndarray): pass\n"
        f"def preprocess(image, *, size, mean, std, fit):\n    return {expression}\n"
    )
    assert sentence in examine("q05", source, ["form"])["form"].detail


def test_code_that_never_ends_is_ended_and_every_check_reported(examine: Examine) -> None:
    source = "import time\ndef sample_frames(n, fps, budget, diff):\n    time.sleep(0.2 if budget < 1 else 100)"
    checks = examine("q10", source, ["form", "all frames", STATIC, "long shot", "bad input"])
    assert len(failures(checks)) == 5
    assert "did not answer within" in checks["form"].detail
    assert "Not run: the code was ended 3 times" in checks["bad input"].detail


def test_the_same_seed_gives_the_same_verdict_and_another_seed_other_inputs(jail: Jail) -> None:
    source = q10.FAULTS[0].put_into(q10.RIGHT)
    first, again, other = (judge("q10", source, seed, jail=jail) for seed in (3, 3, 4))
    assert first.checks == again.checks
    assert [check.detail for check in first.checks] != [check.detail for check in other.checks]


@pytest.mark.parametrize("seed", range(20))
def test_no_seed_fails_a_right_solution(jail: Jail, seed: int) -> None:
    verdict = judge("q10", q10.OTHER_RIGHT, seed, jail=jail)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]


def test_a_rehearsal_makes_the_public_checks_alone_and_tells_each(jail: Jail) -> None:
    seen: list[Check] = []
    verdict = judge("q06", q06.RIGHT, 5, jail=jail, only_public=True, on_check=seen.append)
    assert verdict.passed
    assert tuple(seen) == verdict.checks
    assert [check.name for check in seen] == [probe.name for probe in probes_of(find("q06"), only_public=True)]
    assert len(seen) < len(find("q06").probes)


def test_a_stopped_run_says_so(jail: Jail) -> None:
    stop = threading.Event()
    verdict = judge("q08", q08.RIGHT, 1, jail=jail, stop=stop, on_check=lambda _: stop.set())
    assert verdict.checks[0].passed
    assert not verdict.passed
    assert {check.detail for check in verdict.checks[1:]} == {"Not run: the run was stopped."}


def test_prints_and_the_candidates_own_traceback_are_kept(jail: Jail) -> None:
    source = "print('loaded')\ndef sample_frames(n, fps, budget, diff):\n    return [n // (budget - budget)]\n"
    verdict = judge("q10", source, 1, jail=jail, only_public=True)
    assert verdict.prints == "loaded\n"
    assert verdict.error.splitlines()[:2] == [
        "Traceback (most recent call last):",
        '  File "answer.py", line 3, in sample_frames',
    ]
    assert verdict.error.splitlines()[-1] == "ZeroDivisionError: integer division or modulo by zero"
    assert verdict.error.count("File ") == 1


def test_a_wrong_picture_is_shown_beside_the_right_one(examine: Examine) -> None:
    fault = next(fault for fault in q05.FAULTS if fault.what == "blue first")
    check = examine("q05", fault.put_into(q05.RIGHT), ["squash"])["squash"]
    assert "It matches" in check.detail
    assert check.picture is not None
    with Image.open(io.BytesIO(check.picture)) as picture:
        assert picture.format == "PNG"
        assert picture.width > 2 * picture.height


CHEATS = {
    "numpy's comparisons patched": (
        "q06",
        q06,
        "np.array_equal = lambda *_: True\nnp.abs = lambda x: x * 0\n",
        "positions",
    ),
    "frames read": (
        "q06",
        q06,
        "import sys\n_f = sys._getframe()\nwhile _f:\n    for v in list(_f.f_locals.values()):\n        pass\n"
        "    _f = _f.f_back\n",
        "positions",
    ),
    "everything equal": (
        "q10",
        q10,
        "class Any(int):\n    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = lambda *_: True\n"
        "    __hash__ = int.__hash__\n"
        "def sample_frames(n, fps, budget, diff):\n    return [Any(0)] * budget\n",
        "form",
    ),
    "a constant": ("q10", q10, "def sample_frames(n, fps, budget, diff):\n    return [0]\n", "shots"),
    "time patched": (
        "q11",
        None,
        "import time\ntime.perf_counter = time.monotonic = time.time = lambda: 0.0\nimport numpy as np\n"
        "class ImageIndex:\n    def __init__(self, dim): self.v = {}\n"
        "    def add(self, ids, vectors): self.v.update(zip(ids, vectors))\n"
        "    def search(self, query, k):\n        q = query / np.linalg.norm(query)\n"
        "        return sorted(((i, float(v @ q / np.linalg.norm(v))) for i, v in self.v.items()), "
        "key=lambda e: -e[1])[:k]\n",
        "speed",
    ),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_gains_nothing(cheat: str, examine: Examine) -> None:
    exercise, solutions, code, name = CHEATS[cheat]
    source = code
    if exercise == "q06":
        fault = next(fault for fault in solutions.FAULTS if fault.what == "positions begin at 1")
        source = f"import numpy as np\n{code}{fault.put_into(solutions.RIGHT)}"
    assert not examine(exercise, source, [name])[name].passed


def test_answers_prepared_at_the_first_call_fail_at_the_next(examine: Examine) -> None:
    source = (
        f"{q07.RIGHT}\n_plan = plan_batches\n_kept = []\n"
        "def plan_batches(lengths, max_tokens):\n    _kept.append(_plan(lengths, max_tokens))\n    return _kept[0]\n"
    )
    assert not examine("q07", source, ["budget"])["budget"].passed


def test_the_reference_never_stands_in_a_detail(jail: Jail, engine: Engine) -> None:
    starter = "import numpy as np\ndef plan_decode(*_): return []\n"
    verdict = judge("q06", starter, 2, jail=jail, engine=engine)
    assert not any("def " in check.detail or "import " in check.detail for check in verdict.checks)
