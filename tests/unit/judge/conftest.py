"""One jail and one engine for all of these tests."""

from collections.abc import Callable, Collection, Iterator

import pytest

from sandbox import Engine, SandboxSettings, load_engine
from sandbox.jail import Jail
from sandbox.judge import Check, find
from sandbox.judge.bench import Bench
from sandbox.judge.judging import make


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    engine = load_engine(
        device="cpu", settings=SandboxSettings(_env_file=None, sandbox_model="", sandbox_compile=False)
    )
    yield engine
    engine.close()


Examine = Callable[..., dict[str, Check]]


@pytest.fixture
def examine(jail: Jail, request: pytest.FixtureRequest) -> Examine:
    """Return a function that makes some of an exercise's checks; the engine is loaded only where one needs it."""

    def run(exercise: str, source: str, names: Collection[str], seed: int = 1) -> dict[str, Check]:
        rules = find(exercise)
        assert set(names) <= {probe.name for probe in rules.probes}, names
        bench = Bench(rules, source, seed, jail=jail, engine=lambda: request.getfixturevalue("engine"))
        try:
            return {probe.name: make(probe, bench) for probe in rules.probes if probe.name in names}
        finally:
            bench.close()

    return run
