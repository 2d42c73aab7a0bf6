"""A stage swapped: a candidate's function stands in the live pipeline, and its answer is put beside the model's own.

The function runs in the jail; what it returns is checked where the stage's own output would stand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sandbox.errors import BadOption, StageFailed
from sandbox.images import ImageSource
from sandbox.jail import BadResult, CallFailed, CallTimedOut, Jail, Picture, Run, RunEnded
from sandbox.judge import batches
from sandbox.judge.reducing import saliency_of
from sandbox.labs.compare import Comparison, Difference, difference
from sandbox.labs.preprocessing import own_fit, own_mean_and_std, own_side
from sandbox.labs.swappable import STAGES_TO_SWAP
from sandbox.request import Request
from sandbox.stages import open as opening
from sandbox.stages import preprocess as preprocessing
from sandbox.stages import prompt as prompting
from sandbox.trace import STAGES

if TYPE_CHECKING:
    from sandbox.engine import Engine

COMPANIONS = ("How many shapes are there?", "What color is the background?")
"""What the other requests of a collated batch ask: one with the same picture twice, one without a picture."""


@dataclass(frozen=True)
class Swapped:
    """What came of a swap.

    Attributes:
        texts: The model's own answer, and the one with the function in place.
        differences: How far apart the outputs come, stage by stage.
        same_answer: Whether both gave the same tokens.
        comparison: Both replies, None for a collated batch.
        prints: What the code printed.
        seconds: What the code took.
    """

    texts: tuple[str, str]
    differences: tuple[Difference, ...]
    same_answer: bool
    comparison: Comparison | None
    prints: str
    seconds: float


@dataclass
class _Code:
    """The candidate's functions, called in the jail; what goes wrong there is StageFailed."""

    run: Run
    stage: str
    seconds: float = field(default=0.0)

    def __call__(self, function: str, *args: Any, **kwargs: Any) -> Any:
        try:
            result = self.run.call(function, *args, **kwargs)
        except CallFailed as error:
            raise StageFailed(f"{function} raised {error.kind}: {error.message}\n{error.traceback}") from None
        except (BadResult, CallTimedOut, RunEnded) as error:
            raise StageFailed(f"'{self.stage}': {error}") from None
        self.seconds += result.seconds
        return result.value


def swap(
    engine: Engine,
    jail: Jail,
    stage: str,
    source: str,
    question: str,
    images: Sequence[ImageSource],
    *,
    user: str = "",
    stop: threading.Event | None = None,
) -> Swapped:
    """Answer a question by the model's own pipeline and by the one with a candidate's function in it.

    Args:
        engine: The live model.
        jail: Where the function runs.
        stage: One of `STAGES_TO_SWAP`.
        source: The candidate's module.
        question: What is asked; the pictures come first.
        images: The pictures, one at least.
        user: Whose code it is.
        stop: Ends the code when set.

    Raises:
        BadInput: There is no such stage or no picture, the code fails, or what it returns doesn't fit the stage.
        JailUnavailable: Code can't be run here.
    """
    if stage not in STAGES_TO_SWAP:
        raise BadOption(f"There is no stage {stage!r} to swap. Choose {', '.join(STAGES_TO_SWAP)}.")
    if not images:
        raise BadOption("Choose a picture: the stages that can be swapped work on one.")
    try:
        with jail.open(source, user=user, stop=stop) as run:
            code = _Code(run, stage)
            answer = _collated if stage == "collate" else _replaced
            texts, differences, same, comparison = answer(engine, code, question, images)
            return Swapped(texts, differences, same, comparison, run.prints, code.seconds)
    except CallFailed as error:
        raise StageFailed(f"Your code could not be loaded: {error.kind}: {error.message}\n{error.traceback}") from None
    except (CallTimedOut, RunEnded) as error:
        raise StageFailed(f"Your code could not be loaded: {error}") from None


def _replaced(
    engine: Engine, code: _Code, question: str, images: Sequence[ImageSource]
) -> tuple[tuple[str, str], tuple[Difference, ...], bool, Comparison]:
    own = engine.answer_many([Request(question, images, keep=True)])[0]
    asked, replace = question, {}
    if code.stage == "prompt":
        asked = code("build_prompt", "vqa", question)
        if not isinstance(asked, str):
            raise StageFailed(f"build_prompt must return text; it returned a {type(asked).__name__}.")
    else:
        replace[code.stage] = _function(engine, code, own.trace.arrays["preprocess"])
    theirs = engine.answer_many([Request(asked, images, keep=True, replace=replace)])[0]
    arrays = own.trace.arrays, theirs.trace.arrays
    found = tuple(difference(s, arrays[0][s], arrays[1][s]) for s in STAGES if s in arrays[0] and s in arrays[1])
    comparison = Comparison((own, theirs), found)
    return (own.text, theirs.text), found, comparison.same_answer, comparison


def _function(engine: Engine, code: _Code, pixels: Any) -> Callable[..., Any]:
    """Return what stands in the stage's place and asks the candidate's function."""
    checkpoint = engine.checkpoint
    processor = checkpoint.processor.image_processor
    if code.stage == "preprocess":
        mean, std = own_mean_and_std(processor)
        settings = {"size": own_side(processor), "mean": mean, "std": std, "fit": own_fit(processor)}
        return lambda pictures: _stack(
            [code("preprocess", _as_picture(each), **settings) for each in pictures], "preprocess"
        )
    if code.stage == "select":
        return lambda hidden: _stack([code("select", rows) for rows in hidden], "select")
    saliencies = engine.compute(saliency_of, checkpoint, pixels)
    return lambda selected: [
        code("reduce_tokens", rows, saliency, max(1, len(rows) // 2))
        for rows, saliency in zip(selected, saliencies, strict=True)
    ]


def _collated(
    engine: Engine, code: _Code, question: str, images: Sequence[ImageSource]
) -> tuple[tuple[str, str], tuple[Difference, ...], bool, None]:
    """Collate the question with two others, let the model answer the batch, and compare with the question alone."""
    checkpoint = engine.checkpoint
    if checkpoint.tiled:
        raise BadOption(batches.TILED)
    pictures = opening.open_sources(images, engine.settings)
    requests = []
    for text, shown in ((question, pictures), (COMPANIONS[0], [*pictures, pictures[0]]), (COMPANIONS[1], [])):
        marked = "<image>\n" * len(shown) + text
        rows: Any = preprocessing.preprocess(shown, checkpoint.processor.image_processor) if shown else []
        ids = prompting.prompt(marked, [1] * len(shown), checkpoint).tolist()
        requests.append({"input_ids": ids, "images": list(rows)})
    pad = checkpoint.tokenizer.pad_token_id
    case = batches.Case("swap", requests, checkpoint.image_token, int(pad or 0), batches.tokens_per_image_of(engine))
    keywords = {"image_token_id": case.image_token, "pad_token_id": case.pad_token, "tokens_per_image": case.per_image}
    given = code("collate", requests, **keywords)
    expected = _padded(case)
    if not isinstance(given, dict) or any(not isinstance(given.get(key), np.ndarray) for key in expected):
        raise StageFailed(f"collate must return a dict of arrays with {', '.join(expected)}.")
    found = tuple(difference(key, array, given[key]) for key, array in expected.items())
    misshapen = [one for one in found if one.shapes[0] != one.shapes[1]]
    if misshapen:
        each = [f"{one.stage} should have shape {one.shapes[0]} and has {one.shapes[1]}" for one in misshapen]
        raise StageFailed(f"The batch can't be run: {'; '.join(each)}.")
    if not ((given["input_ids"] >= 0) & (given["input_ids"] < checkpoint.vocabulary)).all():
        raise StageFailed("The batch can't be run: input_ids has ids that the vocabulary doesn't.")
    alone = engine.compute(batches.generate, checkpoint, batches.alone_of(case, 0))[0]
    mine = engine.compute(batches.generate, checkpoint, {key: given[key] for key in expected})[0]
    texts = tuple(checkpoint.tokenizer.decode(tokens, skip_special_tokens=True).strip() for tokens in (alone, mine))
    return (texts[0], texts[1]), found, alone == mine, None


def _padded(case: batches.Case) -> dict[str, np.ndarray]:
    """Return the batch as the model's processor makes it: padded on the left."""
    longest = max(map(len, case.rows))
    ids = np.full((len(case.rows), longest), case.pad_token, np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(case.rows):
        ids[row, longest - len(tokens) :] = tokens
        mask[row, longest - len(tokens) :] = 1
    return {"input_ids": ids, "attention_mask": mask, "pixel_values": np.stack(case.images)}


def _as_picture(image: Image.Image) -> Picture:
    return Picture.of(image, compress_level=1)


def _stack(rows: Sequence[Any], function: str) -> np.ndarray:
    if not isinstance(rows[0], np.ndarray) or len({getattr(row, "shape", None) for row in rows}) != 1:
        raise StageFailed(f"{function} must return one array of one shape for each picture.")
    return np.stack(rows)
