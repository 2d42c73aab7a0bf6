"""q06: `plan_decode`, whose batches are run through the live language model with its KV cache."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sandbox.judge import live
from sandbox.judge.bench import ARGUMENTS, Bad, Bench, Exercise, Probe, Wrong, show

if TYPE_CHECKING:
    from sandbox.engine import Engine
    from sandbox.llamacpp import LlamaCpp

Plan = Sequence[Mapping[str, np.ndarray]]
Runner = Callable[[Plan, int], tuple[np.ndarray, list[int]]]
"""Decodes a plan from an empty cache and goes on greedily for so many tokens: (last logits, tokens)."""

LOGITS, LLAMA_CPP_LOGITS = 1e-3, 0.05
"""Largest difference of the last logits from a whole pass; llama.cpp computes some steps in half precision."""
TOKENS = 12
WIDTH = 8
PLACEHOLDER = -1
KEYS = ({"token", "pos", "logits"}, {"embd", "pos", "logits"})


@dataclass(frozen=True)
class Case:
    """A prompt, and what it must become."""

    what: str
    ids: list[int]
    embeds: list[np.ndarray]
    image_token: int
    n_batch: int

    @property
    def parts(self) -> list[tuple[str, np.ndarray]]:
        """The runs of text and the images, in order."""
        parts: list[tuple[str, np.ndarray]] = []
        run: list[int] = []
        images = iter(self.embeds)
        for token in [*self.ids, self.image_token]:
            if token != self.image_token:
                run.append(token)
                continue
            if run:
                parts.append(("token", np.array(run, np.int64)))
            run = []
            parts += [("embd", rows) for rows in [next(images, None)] if rows is not None]
        return parts

    @property
    def where(self) -> str:
        """The input in words."""
        rows = ", ".join(str(len(each)) for each in self.embeds) or "no"
        return f"{self.what} ({len(self.ids)} ids, images of {rows} rows, n_batch={self.n_batch})"


def case(numbers: np.random.Generator, what: str, layout: str, n_batch: int) -> Case:
    """Draw a prompt: 't' in the layout is a run of text, 'i' an image."""
    image_token = int(numbers.integers(1000, 2000))
    ids: list[int] = []
    embeds = []
    for kind in layout:
        if kind == "t":
            ids += [int(token) for token in numbers.integers(0, 1000, numbers.integers(3, 20))]
        else:
            ids.append(image_token)
            embeds.append(numbers.standard_normal((numbers.integers(3, 24), WIDTH)).astype(np.float32))
    return Case(what, ids, embeds, image_token, n_batch)


def planned(bench: Bench) -> list[tuple[Case, Any]]:
    """Return the cases with what the candidate's function returned for each; called once."""
    numbers = bench.numbers("plans")

    def make() -> list[tuple[Case, Any]]:
        sizes = [int(size) for size in numbers.integers(4, 9, 8)]
        cases = [
            case(numbers, "text, image, text", "tit", sizes[0]),
            case(numbers, "a prompt that begins with an image", "it", sizes[1]),
            case(numbers, "a prompt that ends with an image", "ti", sizes[2]),
            case(numbers, "two images next to each other", "tiit", sizes[3]),
            case(numbers, "three images in the text", "titiit", sizes[4]),
            case(numbers, "text alone", "t", sizes[5]),
            case(numbers, "an image alone", "i", sizes[6]),
            case(numbers, "batches of one", "tit", 1),
            case(numbers, "room for everything in a batch", "titi", 512),
        ]
        return [(each, plan_of(bench, each)) for each in cases]

    return bench.once("plans", make)


def plan_of(bench: Bench, each: Case) -> Any:
    """Have the candidate's function plan a case."""
    return bench.call("plan_decode", each.ids, each.embeds, each.image_token, each.n_batch).value


def batches(plan: Any, where: str) -> list[dict[str, np.ndarray]]:
    """Return a plan as far as it can be read at all; `Wrong` if it is no list of batches with rows and positions."""
    if not isinstance(plan, list) or not all(isinstance(batch, dict) for batch in plan):
        raise Wrong(f"For {where}, a list of dicts is expected; {show(plan)} came.")
    for number, batch in enumerate(plan, 1):
        kinds = [key for key in ("token", "embd") if key in batch]
        if len(kinds) != 1 or not {"pos", "logits"} <= set(batch):
            raise Wrong(
                f"For {where}, batch {number} is {show(batch)}; it should have pos, logits and either token or embd."
            )
        lengths = [len(batch[key]) if isinstance(batch[key], np.ndarray) and batch[key].ndim else -1 for key in batch]
        if min(lengths) != max(lengths) or lengths[0] < 0:
            raise Wrong(f"For {where}, the arrays of batch {number} are not equally long: {_shapes(batch)}.")
    return plan


def form(bench: Bench) -> str:
    """Keys, dtypes, shapes."""
    count = 0
    for each, plan in planned(bench):
        for number, batch in enumerate(batches(plan, each.where), 1):
            where = f"For {each.where}, batch {number}"
            if set(batch) not in KEYS:
                raise Wrong(f"{where} is {show(batch)}; exactly pos, logits and either token or embd are expected.")
            kind = "token" if "token" in batch else "embd"
            wanted = {"token": "int64", "embd": "float32", "pos": "int64", "logits": "bool"}
            for key, array in batch.items():
                if array.dtype != wanted[key] or array.ndim != (2 if key == "embd" else 1):
                    sides = "(n, d)" if key == "embd" else "(n,)"
                    raise Wrong(f"{where}: {key} should be {wanted[key]} {sides}; it is {show(array)}.")
            if kind == "embd" and batch["embd"].shape[1] != WIDTH:
                raise Wrong(f"{where}: embd has width {batch['embd'].shape[1]}; the images have {WIDTH}.")
            count += 1
    return f"{count} batches in {len(planned(bench))} plans."


def order(bench: Bench) -> str:
    """Every token and row, once and in order."""
    for each, plan in planned(bench):
        given = batches(plan, each.where)
        got = [(kind, row) for batch in given for kind in ("token", "embd") if kind in batch for row in batch[kind]]
        expected = [(kind, row) for kind, rows in each.parts for row in rows]
        if any(kind == "token" and row == each.image_token for kind, row in got):
            raise Wrong(f"For {each.where}, the placeholder itself is among the tokens; its image stands in its place.")
        for place, (mine, theirs) in enumerate(zip(got, expected, strict=False)):
            if mine[0] != theirs[0]:
                names = {"token": "a token", "embd": "a row of an image"}
                raise Wrong(f"For {each.where}, row {place} is {names[mine[0]]}; it should be {names[theirs[0]]}.")
            if np.shape(mine[1]) != np.shape(theirs[1]) or not np.array_equal(mine[1], theirs[1]):
                came = f"token {mine[1]} stands where {theirs[1]} should" if mine[0] == "token" else "is another row"
                raise Wrong(f"For {each.where}, row {place}: {came}.")
        if len(got) != len(expected):
            raise Wrong(f"For {each.where}, {len(expected)} rows are expected in all; {len(got)} came.")
    return "Every token and every row stands where it should, once."


def positions(bench: Bench) -> str:
    """0, 1, 2 ... over everything."""
    for each, plan in planned(bench):
        given = batches(plan, each.where)
        got = [int(place) for batch in given for place in batch["pos"].ravel()]
        wrong = next((index for index, place in enumerate(got) if place != index), None)
        if wrong is not None:
            hint = " They start again in a batch." if wrong and got[wrong] == 0 else ""
            raise Wrong(
                f"For {each.where}, positions should run 0, 1, 2 ... over tokens and image rows; row {wrong} has "
                f"{got[wrong]}.{hint}"
            )
        if len(got) != sum(len(rows) for _, rows in each.parts):
            raise Wrong(
                f"For {each.where}, {sum(len(rows) for _, rows in each.parts)} positions are expected; {len(got)} came."
            )
    return "They run 0, 1, 2 ... in every plan."


def asked(bench: Bench) -> str:
    """Logits on the last row only."""
    for each, plan in planned(bench):
        flags = [bool(flag) for batch in batches(plan, each.where) for flag in batch["logits"].ravel()]
        if not flags or not flags[-1]:
            raise Wrong(f"For {each.where}, the very last row should ask for logits; it doesn't.")
        if sum(flags) > 1:
            raise Wrong(f"For {each.where}, only the very last row should ask for logits; {sum(flags)} rows do.")
    return "The very last row asks, and no other."


def bounded(bench: Bench) -> str:
    """1 <= n <= n_batch."""
    for each, plan in planned(bench):
        for number, batch in enumerate(batches(plan, each.where), 1):
            if not 1 <= len(batch["pos"]) <= each.n_batch:
                raise Wrong(f"For {each.where}, batch {number} has {len(batch['pos'])} rows; 1 to n_batch are allowed.")
    return "Every batch has 1 to n_batch rows."


def full(bench: Bench) -> str:
    """A batch that ends inside a run of text or inside an image is full."""
    for each, plan in planned(bench):
        ends = set(np.cumsum([len(rows) for _, rows in each.parts]).tolist())
        place = 0
        for number, batch in enumerate(batches(plan, each.where), 1):
            place += len(batch["pos"])
            if place not in ends and len(batch["pos"]) < each.n_batch:
                raise Wrong(
                    f"For {each.where}, batch {number} has {len(batch['pos'])} rows and ends within a run of text or "
                    "an image; there every batch but the last is full."
                )
    return "Every batch that ends within a run of text or an image is full."


def bad_input(bench: Bench) -> str:
    """What must be refused."""
    numbers = bench.numbers("bad input")
    good = case(numbers, "", "titit", 6)
    rows = numbers.standard_normal((5, WIDTH + 1)).astype(np.float32)
    none = np.zeros((0, WIDTH), np.float32)
    first, second = good.embeds

    def bad(why: str, ids: list[int], embeds: list[np.ndarray], n_batch: int = 6) -> Bad:
        return Bad(why, "plan_decode", (ids, embeds, good.image_token, n_batch))

    return bench.refuses(
        [
            bad("more placeholders than images", good.ids, [first]),
            bad("more images than placeholders", good.ids, [first, second, second]),
            bad("an image without a placeholder", [1, 2, 3], [first]),
            bad("an empty prompt", [], []),
            bad("an image without rows", good.ids, [first, none]),
            bad("images of different d", good.ids, [first, rows]),
            bad("n_batch=0", good.ids, good.embeds, 0),
            bad("n_batch=-3", good.ids, good.embeds, -3),
        ]
    )


@dataclass(frozen=True)
class Asked:
    """A real prompt for the live model, its plan by the candidate, and what a whole pass gives."""

    plan: list[dict[str, np.ndarray]]
    logits: np.ndarray
    tokens: list[int]
    where: str


def live_plans(bench: Bench) -> list[Asked]:
    """Return plans for real prompts with fresh scenes, checked so far that they can be run."""

    def make() -> list[Asked]:
        engine, chance = bench.engine, bench.random("live")
        checkpoint = engine.checkpoint
        found = []
        for count in (1, 2):
            questions = live.items(chance, count, ("color", "shape", "count"))
            text = "\n".join(f"<image>\n{each.prompt}" for each in questions)
            reply = engine.answer(text, [each.picture for each in questions], keep=True, max_new_tokens=1)
            ids = [int(token) for token in reply.trace.arrays["prompt"]]
            features = list(reply.trace.arrays["project"])
            for rows in features:  # one placeholder for each image again
                place = ids.index(checkpoint.image_token)
                ids[place : place + len(rows)] = [PLACEHOLDER]
            ids = [checkpoint.image_token if token == PLACEHOLDER else token for token in ids]
            asked_for = Case("a live prompt", ids, features, checkpoint.image_token, chance.randint(9, 40))
            plan = batches(plan_of(bench, asked_for), asked_for.where)
            _expect_runnable(plan, asked_for, checkpoint.vocabulary)
            logits, tokens = engine.compute(_whole_pass, checkpoint, asked_for)
            found.append(Asked(plan, logits, tokens, asked_for.where))
        return found

    return bench.once("live plans", make)


def _expect_runnable(plan: Plan, each: Case, vocabulary: int) -> None:
    total = sum(len(batch["pos"]) for batch in plan)
    expected = sum(len(rows) for _, rows in each.parts)
    if total != expected:
        raise Wrong(f"Not run: {expected} rows are expected for {each.where}; {total} came.")
    width = each.embeds[0].shape[1]
    for number, batch in enumerate(plan, 1):
        where = f"Not run: for {each.where}, batch {number}"
        if batch["pos"].dtype.kind != "i" or not all(0 <= int(place) < 2 * expected for place in batch["pos"].ravel()):
            raise Wrong(f"{where} has positions outside the prompt.")
        if "token" in batch:
            ids = batch["token"]
            if ids.ndim != 1 or ids.dtype.kind != "i" or not all(0 <= int(token) < vocabulary for token in ids):
                raise Wrong(f"{where} has tokens that the vocabulary doesn't.")
        elif batch["embd"].shape[1:] != (width,) or not np.isfinite(batch["embd"]).all():
            raise Wrong(
                f"{where} has embd of shape {batch['embd'].shape}; width {width} and finite values are expected."
            )
    if not np.any(plan[-1]["logits"].ravel()[-1:]):
        raise Wrong("Not run: the last row doesn't ask for logits.")


def by_transformers(bench: Bench) -> str:
    """The plan run through the live language model with its KV cache."""
    checkpoint = bench.engine.checkpoint
    return _agree(bench, lambda plan, limit: bench.engine.compute(decode, checkpoint, plan, limit), LOGITS)


def by_llama_cpp(bench: Bench) -> str:
    """The plan run by llama.cpp itself, where it is installed."""
    from sandbox.llamacpp import LlamaCppFailed, is_installed

    if not is_installed():
        bench.notes.append(NO_LLAMA_CPP)
        return NO_LLAMA_CPP
    live_plans(bench)  # what can't be run at all needs no second engine
    try:
        runner = llama_cpp(bench.engine)
    except LlamaCppFailed as error:
        bench.notes.append(str(error))
        return str(error)
    try:
        return _agree(bench, runner.run, LLAMA_CPP_LOGITS)
    except LlamaCppFailed as error:
        raise Wrong(str(error)) from None


NO_LLAMA_CPP = "llama.cpp is not installed here, so the plan is run by transformers alone."


def _agree(bench: Bench, run: Runner, most: float) -> str:
    worst = 0.0
    for each in live_plans(bench):
        logits, tokens = run(each.plan, TOKENS)
        off = float(np.abs(logits - each.logits).max())
        if not off <= most:
            raise Wrong(
                f"For {each.where}, the last logits differ from a whole pass's by {off:.3g}; {most:g} is allowed."
            )
        if tokens != each.tokens:
            raise Wrong(f"For {each.where}, the greedy answer differs from that of a whole pass.")
        worst = max(worst, off)
    return f"Last logits within {worst:.2g} of a whole pass ({most:g} is allowed), the same greedy answers."


def decode(checkpoint: Any, plan: Plan, limit: int) -> tuple[np.ndarray, list[int]]:
    """Run a plan batch by batch through the language model, then go on greedily. A `Runner` for the model's thread."""
    import torch
    from transformers import DynamicCache

    with torch.inference_mode():
        cache = DynamicCache(config=checkpoint.model.config.text_config)
        done, logits = 0, torch.empty(0)
        for batch in plan:
            place = torch.tensor(batch["pos"].astype(np.int64))[None]
            if "token" in batch:
                rows = checkpoint.model.get_input_embeddings()(checkpoint.tensor(batch["token"].astype(np.int64)))[None]
            else:
                rows = checkpoint.tensor(batch["embd"].astype(np.float32))[None]
            done += rows.shape[1]
            logits = _step(checkpoint, rows, place.to(rows.device), cache, done)
        last = logits.numpy()
        tokens: list[int] = []
        following = int(plan[-1]["pos"].ravel()[-1]) + 1
        while len(tokens) < limit:
            tokens.append(int(logits.argmax()))
            if tokens[-1] in checkpoint.end_tokens:
                break
            rows = checkpoint.model.get_input_embeddings()(checkpoint.tensor(np.array(tokens[-1:])))[None]
            done += 1
            logits = _step(checkpoint, rows, torch.tensor([[following]]).to(rows.device), cache, done)
            following += 1
        return last, tokens


def _step(checkpoint: Any, rows: Any, place: Any, cache: Any, done: int) -> Any:
    import torch

    hidden = checkpoint.model.model.language_model(
        inputs_embeds=rows,
        position_ids=place,
        attention_mask=torch.ones(1, done, dtype=torch.long, device=rows.device),
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    return checkpoint.model.lm_head(hidden[0, -1]).float().cpu()


def _whole_pass(checkpoint: Any, each: Case) -> tuple[np.ndarray, list[int]]:
    """Return the logits of one forward pass over everything, and the greedy answer."""
    rows = np.concatenate(
        [checkpoint.embed(part) if kind == "token" else np.asarray(part, np.float32) for kind, part in each.parts]
    )
    return decode(checkpoint, [{"embd": rows, "pos": np.arange(len(rows))}], TOKENS)


_engines: weakref.WeakKeyDictionary[Engine, LlamaCpp] = weakref.WeakKeyDictionary()
_starting = threading.Lock()


def llama_cpp(engine: Engine) -> LlamaCpp:
    """Return the engine's language model in llama.cpp, made once; LlamaCppFailed if it can't be."""
    from sandbox.llamacpp import LlamaCpp

    with _starting:
        if engine not in _engines:
            _engines[engine] = LlamaCpp(engine.checkpoint)
            atexit.register(_engines[engine].close)
        return _engines[engine]


def _shapes(batch: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {show(value)}" for key, value in batch.items())


EXERCISE = Exercise(
    "q06",
    ("plan_decode",),
    (
        Probe(
            "form", "Each batch has exactly pos, logits and either token or embd, in their dtypes.", form, public=True
        ),
        Probe(
            "order", "Every token and every image row comes once, in order, without placeholders.", order, public=True
        ),
        Probe("positions", "Positions run 0, 1, 2 ... over tokens and image rows.", positions, public=True),
        Probe("logits", "Logits are asked for on the very last row only.", asked, public=True),
        Probe("batch size", "Every batch has 1 to n_batch rows.", bounded),
        Probe("full batches", "Within a run of text and within an image, every batch but the last is full.", full),
        Probe("bad input", "What can't be planned raises ValueError.", bad_input),
        Probe("live logits", "Run on the live model with its cache, the plan ends as a whole pass.", by_transformers),
        Probe("llama.cpp", "Run by llama.cpp itself, the plan ends as a whole pass.", by_llama_cpp),
        ARGUMENTS,
    ),
)
