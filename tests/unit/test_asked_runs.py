import json
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox import BadOption
from webapp.runs import Asked, repeated
from webapp.store import Run


def run(text: str, receipt: dict[str, Any] | None) -> Run:
    kept = json.dumps(receipt) if receipt else None
    return Run(user_id="u", kind="ask", settings={}, figures={"text": text}, receipt=kept)


def reply(text: str, receipt: dict[str, Any] | None, seed: int | None = None) -> Any:
    given = SimpleNamespace(summary=lambda: receipt) if receipt else None
    return SimpleNamespace(text=text, trace=SimpleNamespace(receipt=given, seed=seed))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (("red", {"logits": "a"}), ("red", {"logits": "a"}), "equal receipt"),
        (("red", {"logits": "a", "threads": 1}), ("red", {"logits": "b", "threads": 2}), "differ in logits, threads"),
        (("red", None), ("red", {"logits": "a"}), "The same answer came again."),
        (("red", {"logits": "a"}), ("blue", {"logits": "a"}), "Another answer"),
    ],
)
def test_a_repetition_says_how_it_stands_to_the_run(before: Any, after: Any, says: str) -> None:
    assert says in repeated(run(*before), reply(*after))


def test_what_was_asked_comes_back_from_a_runs_settings() -> None:
    asked = Asked(prompt="What?", pictures=("scene:1",), temperature=0.5, seed=3, feature_layer=-1)
    assert Asked.of({**asked.settings(), "occlusion_block_patches": 1}) == asked


def test_settings_of_another_form_are_refused_in_words() -> None:
    with pytest.raises(BadOption, match="of another form"):
        Asked.of({"prompt": ["a", "b"]})


def test_a_seed_that_was_drawn_is_kept_so_that_the_answer_can_be_repeated() -> None:
    assert Asked(prompt="x", temperature=1.0).repeatable(reply("y", None, seed=41)).seed == 41
    assert Asked(prompt="x").repeatable(reply("y", None, seed=41)).seed is None
