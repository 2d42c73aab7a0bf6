"""q12: `reduce_tokens`, between the vision tower and the projector of the live model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sandbox.judge import live
from sandbox.judge.arrays import expect_array
from sandbox.judge.bench import ARGUMENTS, Bad, Bench, Exercise, Probe, Wrong
from sandbox.request import Reply, Request

TASKS = ("color", "shape", "size", "count", "position", "presence", "relation", "text")
LOOKS = (48, 144)
"""Scenes for a first look, and for a second where the first is close."""
CLOSE = 0.08
DRAWS = 3
LEVEL = 0.05
"""Of the one-sided paired test against random dropping."""
ACCURACY = 0.9
"""Share of the full accuracy at half the tokens."""
SHARES = {"half": 2, "quarter": 4}
MEMBER = 1e-3
"""Least weight of a member in a merged row, of the largest."""


def reduced(bench: Bench, features: np.ndarray, saliency: np.ndarray, keep: int) -> np.ndarray:
    """Return the candidate's rows; `Wrong` unless they are float32 (1 to keep, d) and finite."""
    where = f"The result for {features.shape[0]} rows of {features.shape[1]} with keep={keep}"
    value = bench.call("reduce_tokens", features, saliency, keep).value
    rows: np.ndarray = expect_array(value, where, "float32", (None, features.shape[1]))
    if not 1 <= len(rows) <= min(keep, len(features)):
        raise Wrong(f"{where} should have 1 to {min(keep, len(features))} rows; it has {len(rows)}.")
    return rows


def drawn(numbers: np.random.Generator, side: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features of side x side patches, and a saliency."""
    features = numbers.standard_normal((side * side, width)).astype(np.float32)
    return features, numbers.dirichlet(np.ones(side * side)).astype(np.float32)


def form(bench: Bench) -> str:
    """Dtype, width, and no more rows than asked for."""
    numbers = bench.numbers("form")
    cases = [(8, 24, 32), (8, 24, 16), (6, 40, 1), (5, 16, 7), (4, 12, 15)]
    for side, width, keep in cases:
        reduced(bench, *drawn(numbers, side, width), keep)
    return f"float32 and at most keep rows in {len(cases)} cases."


def all_kept(bench: Bench) -> str:
    """Nothing to do."""
    numbers = bench.numbers("all kept")
    for more in (0, 1, int(numbers.integers(5, 90))):
        features, saliency = drawn(numbers, 5, 12)
        if not np.array_equal(reduced(bench, features, saliency, 25 + more), features):
            raise Wrong(f"With 25 rows and keep={25 + more}, all rows should come unchanged.")
    return "All rows come unchanged where keep is enough."


def order(bench: Bench) -> str:
    """Rows that can be told apart, so that each row of the result shows what it was made of."""
    numbers = bench.numbers("order")
    for keep in (18, 9, int(numbers.integers(3, 30))):
        features, saliency = np.zeros((36, 48), np.float32), drawn(numbers, 6, 4)[1]
        columns = numbers.permutation(48)[:36]
        features[np.arange(36), columns] = numbers.uniform(0.8, 1.2, 36)
        rows = reduced(bench, features, saliency, keep)
        weights = np.abs(rows[:, columns])
        if not (weights.max(axis=1) > 0).all():
            raise Wrong(f"With 36 rows and keep={keep}, a row of the result holds none of the features' rows.")
        stands = []
        for weight in weights:
            members = np.flatnonzero(weight > MEMBER * weight.max())
            stands.append(int(members[saliency[members].argmax()]))
        for place in range(1, len(stands)):
            if stands[place] <= stands[place - 1]:
                raise Wrong(
                    f"With 36 rows and keep={keep}, rows {place - 1} and {place} of the result stand for patches "
                    f"{stands[place - 1]} and {stands[place]}; the image's order is expected, a merged row standing "
                    "where its most salient member stood."
                )
    return "Rows come in the image's order."


def bad_keep(bench: Bench) -> str:
    """Nothing to keep."""
    features, saliency = drawn(bench.numbers("bad keep"), 4, 8)
    return bench.refuses([Bad(f"keep={keep}", "reduce_tokens", (features, saliency, keep)) for keep in (0, -1, -100)])


@dataclass
class Trial:
    """Scenes asked with all tokens, with the candidate's, and with random ones."""

    asked: list[live.Item]
    full: list[bool]
    mine: dict[str, list[bool]]
    chance: dict[str, np.ndarray]
    """Share of the draws that were right, for each scene."""
    tokens: dict[str, float]
    """Prompt tokens, in the mean."""
    work: dict[str, float]
    """Multiplications of the language model's prefill, in the mean."""

    def accuracy(self, share: str) -> float:
        """The candidate's."""
        return float(np.mean(self.mine[share]))


def trial(bench: Bench) -> Trial:
    """Return what the live model answers; more scenes are asked where the first ones leave it open."""

    def make() -> Trial:
        found = Trial([], [], {share: [] for share in SHARES}, {share: np.zeros(0) for share in SHARES}, {}, {})
        for count in LOOKS:
            asked = live.items(bench.random("scenes"), count, TASKS)[len(found.asked) :]
            _extend(bench, found, asked)
            least = ACCURACY * float(np.mean(found.full))
            if abs(found.accuracy("half") - least) > CLOSE and all(
                not 0.001 < p_value(found.mine[share], found.chance[share]) < 0.3 for share in SHARES
            ):
                break
        return found

    return bench.once("trial", make)


def _extend(bench: Bench, found: Trial, asked: Sequence[live.Item]) -> None:
    engine, numbers = bench.engine, bench.numbers(f"draws {len(found.asked)}")
    whole = live.replies(engine, [_request(item, keep=True) for item in asked])
    kept = [reply.trace.arrays for reply in whole]
    saliencies = [engine.compute(saliency_of, engine.checkpoint, arrays["preprocess"]) for arrays in kept]
    full = [live.same(reply.text, item.answer) for reply, item in zip(whole, asked, strict=True)]
    _weigh(bench, found, "full", whole)

    def answers(choose: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> list[Reply]:
        requests = []
        for item, arrays, saliency in zip(asked, kept, saliencies, strict=True):
            rows = [choose(*each) for each in zip(arrays["select"], saliency, strict=True)]
            replace = {"encode": partial(_same, arrays["encode"]), "reduce": partial(_same, rows)}
            requests.append(_request(item, replace=replace))
        return live.replies(engine, requests)

    for share, divisor in SHARES.items():
        mine = answers(lambda rows, saliency: reduced(bench, rows, saliency, max(1, len(rows) // divisor)))  # noqa: B023
        found.mine[share] += [live.same(reply.text, item.answer) for reply, item in zip(mine, asked, strict=True)]
        _weigh(bench, found, share, mine)
        draws = np.zeros(len(asked))
        for _ in range(DRAWS):

            def dropped(rows: np.ndarray, _: np.ndarray) -> np.ndarray:
                return rows[np.sort(numbers.permutation(len(rows))[: max(1, len(rows) // divisor)])]  # noqa: B023

            given = answers(dropped)
            draws += [live.same(reply.text, item.answer) for reply, item in zip(given, asked, strict=True)]
        found.chance[share] = np.concatenate([found.chance[share], draws / DRAWS])
    found.full += full
    found.asked += asked


def _request(item: live.Item, **options: Any) -> Request:
    return Request(f"<image>\n{item.prompt}", [item.picture], max_new_tokens=12, **options)


def _same(value: Any, *_: Any) -> Any:
    return value


def _weigh(bench: Bench, found: Trial, share: str, replies: Sequence[Reply]) -> None:
    lengths = [sum(part.count for part in reply.trace.tokens) for reply in replies]
    config = bench.engine.checkpoint.model.config.text_config
    found.tokens[share] = float(np.mean(lengths))
    found.work[share] = float(np.mean([prefill_work(length, config) for length in lengths]))


def prefill_work(length: int, config: Any) -> float:
    """Return the multiplications of a Llama's prefill over so many tokens, its head left out.

    A layer has 2 n d (d + d_kv) for the four projections, 2 n^2 d for scores and values, 3 n d m for the gated MLP.
    """
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    narrow = width * config.num_key_value_heads / config.num_attention_heads
    return float(layers * (2 * length * width * (width + narrow) + 2 * length**2 * width + 3 * length * width * inner))


def saliency_of(checkpoint: Any, pixels: np.ndarray) -> np.ndarray:
    """Return how much each patch is attended to in the layer that makes the features, in the mean over heads.

    From the class token where the tower has one, else from all patches. For the model's thread.

    Args:
        checkpoint: The model, with a CLIP or SigLIP tower.
        pixels: float32 (T, 3, S, S).

    Returns:
        float32 (T, patches).
    """
    import torch

    layer = checkpoint.feature_layer if isinstance(checkpoint.feature_layer, int) else checkpoint.feature_layer[-1]
    count = checkpoint.vision_layers
    index = max(1, layer if layer >= 0 else count + 1 + layer) - 1
    tower = checkpoint.model.model.vision_tower
    block = getattr(tower, "vision_model", tower).encoder.layers[index]
    with torch.inference_mode():
        hidden = tower(checkpoint.tensor(pixels), output_hidden_states=[index]).hidden_states[index]
        normed, attention = block.layer_norm1(hidden), block.self_attn
        shape = (*normed.shape[:2], attention.num_heads, -1)
        queries, keys = (
            project(normed).view(shape).transpose(1, 2).float() for project in (attention.q_proj, attention.k_proj)
        )
        weights = (queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5).softmax(-1).mean(1)
        patches = (checkpoint.model.config.vision_config.image_size // checkpoint.patch_size) ** 2
        rows = weights[:, 0, 1:] if weights.shape[-1] == patches + 1 else weights.mean(1)
        saliency: np.ndarray = rows.cpu().numpy().astype(np.float32)
    return saliency


def p_value(mine: Sequence[bool], chance: np.ndarray) -> float:
    """Return how likely differences as large as these are if the candidate's rows are no better than random ones."""
    from scipy.stats import ttest_1samp

    differences = np.asarray(mine, float) - chance
    if np.ptp(differences) == 0:
        return 0.0 if differences[0] > 0 else 1.0
    return float(ttest_1samp(differences, 0.0, alternative="greater").pvalue)


def against_chance(share: str, bench: Bench) -> str:
    """The candidate's rows against rows dropped at random, on the same scenes."""
    found = trial(bench)
    mine, theirs = found.accuracy(share), float(found.chance[share].mean())
    probability = p_value(found.mine[share], found.chance[share])
    said = (
        f"At a {share} of the tokens, {mine:.3f} of the answers to {len(found.asked)} fresh scenes are right; with "
        f"rows dropped at random {theirs:.3f} (mean of {DRAWS} draws), with all rows {np.mean(found.full):.3f}. "
        f"Paired one-sided test: p = {probability:.2g}."
    )
    if probability > LEVEL:
        raise Wrong(f"{said} Better than random is shown at p <= {LEVEL}.")
    return f"{said} Prefill: {_saved(found, share)}."


def _saved(found: Trial, share: str) -> str:
    less = 1 - found.work[share] / found.work["full"]
    return f"{found.tokens[share]:.0f} instead of {found.tokens['full']:.0f} tokens, {less:.0%} less work"


def accurate(bench: Bench) -> str:
    """Accuracy at half the tokens."""
    found = trial(bench)
    mine, full = found.accuracy("half"), float(np.mean(found.full))
    said = (
        f"At half the tokens, {mine:.3f} of the answers to {len(found.asked)} fresh scenes are right; with all tokens "
        f"{full:.3f}, of which {ACCURACY:.0%} is asked for. Prefill: {_saved(found, 'half')}."
    )
    if mine < ACCURACY * full:
        raise Wrong(said)
    return said


EXERCISE = Exercise(
    "q12",
    ("reduce_tokens",),
    (
        Probe("form", "The result is float32 with at most keep rows.", form, public=True),
        Probe("all kept", "With keep >= T, all rows come unchanged.", all_kept, public=True),
        Probe("order", "The image's order is kept.", order, public=True),
        Probe("bad keep", "keep < 1 raises ValueError.", bad_keep, public=True),
        Probe("live accuracy", "At half the tokens, the live model keeps 0.9 of its accuracy.", accurate),
        Probe("half", "At half the tokens, answers are better than with random rows.", partial(against_chance, "half")),
        Probe("quarter", "At a quarter too.", partial(against_chance, "quarter")),
        ARGUMENTS,
    ),
)
