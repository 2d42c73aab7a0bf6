"""Measures the engine against what else one would run: `python -m tests.bench.serving`.

Every ratio is taken between runs of one round, the ways one after the other in each round; given are the median over
the rounds, the lowest and the highest. All ways answer the same requests with the same weights and threads, from the
picture on, with nothing cached, and as many tokens each. Prints a table in Markdown and writes it, with the numbers as
JSON, into the results folder. With `--model 7b-random` the model has LLaVA-1.5-7B's shape and random weights.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sandbox import Request, SandboxSettings, load_engine
from sandbox.checkpoint import Checkpoint
from sandbox.device import choose_placement
from sandbox.engine import Engine
from sandbox.slots import table_bytes
from sandbox.tiny import draw, sample_scene
from tests.bench.repeats import counts

WAIT_SECONDS = 300


@dataclass
class Row:
    """A line of the table."""

    what: str
    median: float
    low: float
    high: float
    unit: str
    target: str = ""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="", help="A folder or hub id, or 7b-random; default: the settings' model.")
    parser.add_argument("--rounds", type=int, default=7, help="Rounds of each comparison.")
    parser.add_argument("--tokens", type=int, default=32, help="Tokens of every answer.")
    parser.add_argument("--users", type=int, nargs="+", default=[8, 16], help="Users at once.")
    parser.add_argument("--slots", type=int, nargs="+", default=[16], help="Numbers of slots to try, one by one.")
    parser.add_argument("--threads", type=int, default=0, help="Threads on a CPU; 0: the settings'.")
    parser.add_argument("--runs", type=int, default=1000, help="Mixed runs whose bits are compared.")
    parser.add_argument("--plain", action="store_true", help="Without the compiler.")
    parser.add_argument("--no-gradio", action="store_true", help="Leave out the comparison through Gradio.")
    parser.add_argument("--out", type=Path, default=Path("results"), help="Folder of the results.")
    options = parser.parse_args()

    load_before = os.getloadavg()[0]
    rows, heads = [], []
    for number, slots in enumerate(options.slots):
        settings = SandboxSettings(sandbox_compile=not options.plain, sandbox_slots=slots)
        if options.threads:
            settings = settings.model_copy(update={"sandbox_threads": options.threads})
        engine = open_model(options.model, settings)
        kept = engine.checkpoint.model.generation_config.eos_token_id
        engine.checkpoint.model.generation_config.eos_token_id = None  # every answer has as many tokens
        threads = engine.compute(torch.get_num_threads)
        torch.set_num_threads(threads)
        compiled = wait_for_compiler(engine, options.tokens)
        found = []
        for users in options.users:
            found += together(engine, users, options.tokens, options.rounds)
        found += alone(engine, options.tokens, options.rounds)
        if not number:
            found += hits(engine, options.rounds)
            if not options.no_gradio:
                found += through_gradio(engine, options.users[0], options.tokens, max(3, options.rounds // 2))
        found += memory(engine)
        engine.checkpoint.model.generation_config.eos_token_id = kept
        if options.runs and not number:
            found += bits(engine, options.runs)
        rows += [replace(each, what=f"{slots} slots: {each.what}") for each in found]
        heads.append(f"{slots} slots: {'compiled' if compiled else 'plain'} programs ({engine.compiling})")
        about = engine.description
        engine.close()
    head = (
        f"{about}\n\n{'; '.join(heads)}; {threads} threads, answers of {options.tokens} tokens, "
        f"{options.rounds} rounds; load average {load_before:.1f} before, {os.getloadavg()[0]:.1f} after, "
        f"on {os.cpu_count()} cores; PyTorch {torch.__version__}"
    )
    write(options.out, head, rows)


def bits(engine: Engine, runs: int) -> list[Row]:
    """Count the runs among cancelled and refused ones whose receipts are those of the same requests alone."""
    found = counts(engine, runs)
    return [row(f"{found['runs']} mixed runs, equal bit for bit to those alone", [found["equal"]], "runs", f"{runs}")]


def together(engine: Engine, users: int, tokens: int, rounds: int) -> list[Row]:
    """Compare ways of answering several users at once."""
    requests = ask(users, tokens)
    firsts: list[float] = []

    def streams() -> None:
        def read(request: Request) -> None:
            *_, last = engine.stream(request.prompt, request.images, max_new_tokens=tokens, cache=False)
            firsts.append(last.reply.trace.first_token_seconds)

        with ThreadPoolExecutor(users) as pool:
            list(pool.map(read, requests))

    ways: dict[str, Callable[[], Any]] = {
        "one by one": lambda: [generated(engine.checkpoint, [request]) for request in requests],
        "static": lambda: generated(engine.checkpoint, requests),
        "engine": lambda: engine.answer_many(requests),
        "streams": streams,
    }
    assert ways["one by one"]() == [[list(reply.tokens)] for reply in engine.answer_many(requests)], "tokens differ"
    streams()
    firsts.clear()
    seconds = measure(ways, rounds)
    speed = [users * tokens / each for each in seconds["engine"]]
    return [
        ratio(
            f"{users} users / `generate` one by one", seconds, "one by one", "engine", f">= {5 if users < 16 else 6}"
        ),
        ratio(f"{users} users / static batch of `generate`", seconds, "static", "engine", ">= 1.2"),
        ratio(f"{users} streams / `generate` one by one", seconds, "one by one", "streams"),
        ratio(f"{users} streams / static batch of `generate`", seconds, "static", "streams"),
        row(f"{users} users, tokens a second", speed, "tokens/s"),
        row(f"{users} streams, first token", [1000 * each for each in firsts], "ms"),
        row(f"{users} users, static batch: all tokens", [1000 * each for each in seconds["static"]], "ms"),
    ]


def alone(engine: Engine, tokens: int, rounds: int) -> list[Row]:
    """Compare one user's answers."""
    requests = ask(4, tokens)
    seconds = measure(
        {
            "generate": lambda: [generated(engine.checkpoint, [request]) for request in requests],
            "engine": lambda: [engine.answer_many([request]) for request in requests],
        },
        rounds,
    )
    return [ratio("1 user / `generate`", seconds, "generate", "engine", ">= 1")]


def hits(engine: Engine, rounds: int) -> list[Row]:
    """Compare the time to the first token with nothing, the features, and the prompt's first part in the caches."""
    request = ask(1, 1)[0]
    caches = engine._caches
    times: dict[str, list[float]] = {"none": [], "features": [], "prefix": []}
    for _ in range(4 * rounds):
        engine.clear_caches()
        for way in times:
            if way == "features":
                caches.prefixes.clear()
            reply = engine.answer(request.prompt, request.images, max_new_tokens=1)
            times[way].append(reply.trace.first_token_seconds - reply.trace.waited_seconds)
    return [
        ratio("first token, features in the cache", times, "none", "features", ">= 1.5"),
        ratio("first token, prompt up to the picture in the cache", times, "none", "prefix", ">= 2.5"),
        row("first token, nothing in the caches", [1000 * each for each in times["none"]], "ms"),
    ]


def through_gradio(engine: Engine, users: int, tokens: int, rounds: int) -> list[Row]:
    """Compare a Gradio app that streams from the engine with one that uses Gradio's own batches."""
    import gradio
    from gradio_client import Client

    requests = ask(users, tokens)

    def batched(numbers: list[float]) -> list[list[str]]:
        return [[str(len(row)) for row in generated(engine.checkpoint, [requests[int(n)] for n in numbers])]]

    def streamed(number: float) -> Any:
        request, text = requests[int(number)], ""
        for event in engine.stream(request.prompt, request.images, max_new_tokens=tokens, cache=False):
            text += event.text
            yield text

    with gradio.Blocks() as app:
        number, text = gradio.Number(), gradio.Textbox()
        gradio.Button().click(batched, number, text, batch=True, max_batch_size=users, api_name="batched")
        gradio.Button().click(streamed, number, text, concurrency_limit=users, api_name="streamed")
    app.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    clients = [Client(app.local_url, verbose=False) for _ in range(users)]

    def all_at_once(name: str) -> None:
        def one(index: int) -> None:
            clients[index].predict(float(index), api_name=name)

        with ThreadPoolExecutor(users) as pool:
            list(pool.map(one, range(users)))

    ways = {"batched": lambda: all_at_once("/batched"), "streamed": lambda: all_at_once("/streamed")}
    for way in ways.values():
        way()
    seconds = measure(ways, rounds)
    app.close()
    return [
        ratio(f"{users} users in Gradio: streaming from the engine / `batch=True`", seconds, "batched", "streamed"),
        row(f"{users} users in Gradio, `batch=True`", [1000 * each for each in seconds["batched"]], "ms"),
    ]


def memory(engine: Engine) -> list[Row]:
    """Report what is held."""
    config = engine.checkpoint.model.config.text_config
    size = engine.checkpoint.placement.dtype.itemsize
    tables = sum(table_bytes(config, slots * length, size) for length, slots, *_ in engine.tables)
    kept = sum(report.bytes for report in engine.cache_report())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rows = [("keys and values of all slots", tables), ("caches", kept), ("process, highest", peak)]
    if torch.cuda.is_available():
        rows.append(("GPU, highest", torch.cuda.max_memory_allocated()))
    return [row(f"memory: {name}", [each / 1e6], "MB") for name, each in rows]


def generated(checkpoint: Checkpoint, requests: Sequence[Request]) -> list[list[int]]:
    """Answer as transformers does: processor, left padding, `generate`."""
    tokens = requests[0].max_new_tokens
    processor = checkpoint.processor
    texts = []
    for request in requests:
        content = [*({"type": "image"} for _ in request.images), {"type": "text", "text": request.prompt}]
        texts.append(processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True))
    images = [list(request.images) for request in requests]
    inputs = processor(images=images, text=texts, return_tensors="pt", padding=len(texts) > 1)
    inputs = inputs.to(checkpoint.placement.device, checkpoint.placement.dtype)
    with torch.inference_mode():
        output = checkpoint.model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
    rows: list[list[int]] = output[:, inputs["input_ids"].shape[1] :].tolist()
    return rows


def ask(users: int, tokens: int) -> list[Request]:
    """Return requests about different pictures, with questions of different length."""
    import random

    questions = (
        "What color is the circle?",
        "How many objects are there in the image?",
        "Describe the image.",
        "What is at the top left? Answer in a full sentence.",
    )
    rng = random.Random(0)
    return [
        Request(questions[n % 4], [draw(sample_scene(rng)).convert("RGB")], max_new_tokens=tokens, cache=False)
        for n in range(users)
    ]


def measure(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way in each round; every way runs once before."""
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(what: str, seconds: dict[str, list[float]], base: str, ours: str, target: str = "") -> Row:
    """Return how many times as fast `ours` was as `base`, round by round."""
    return row(what, [a / b for a, b in zip(seconds[base], seconds[ours], strict=True)], "times", target)


def row(what: str, values: Sequence[float], unit: str, target: str = "") -> Row:
    """Return median, lowest and highest."""
    return Row(what, statistics.median(values), min(values), max(values), unit, target)


def wait_for_compiler(engine: Engine, tokens: int) -> bool:
    """Answer until the compiled programs are in use, or there won't be any."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        receipt = engine.answer_many(ask(1, tokens))[0].trace.receipt
        if receipt.compiled or engine.compiling.startswith("not"):
            return bool(receipt.compiled)
        threading.Event().wait(0.5)
    return False


def open_model(name: str, settings: SandboxSettings) -> Engine:
    """Load a checkpoint, or make one of LLaVA-1.5-7B's shape with random weights."""
    if name != "7b-random":
        return load_engine(name or None, settings=settings)
    from transformers import CLIPImageProcessorPil, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    tiny = load_engine(settings=settings.model_copy(update={"sandbox_compile": False})).checkpoint
    tokenizer = tiny.tokenizer
    config = LlavaConfig(image_token_index=tiny.image_token)  # its defaults are LLaVA-1.5-7B's
    config.text_config.pad_token_id = tokenizer.pad_token_id
    placement = choose_placement(settings.sandbox_device)
    torch.manual_seed(0)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(placement.dtype)
    with torch.device(placement.device):
        model = LlavaForConditionalGeneration(config).eval()
    torch.set_default_dtype(usual)
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tiny.processor.chat_template,
    )
    return Engine(Checkpoint("LLaVA-1.5-7B's shape, random weights", model, processor, placement), settings)


def write(folder: Path, head: str, rows: list[Row]) -> None:
    """Print the table and write it beside its numbers."""
    lines = [head, "", "| What | Median | Lowest | Highest | Unit | Target |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {each.what} | {each.median:.2f} | {each.low:.2f} | {each.high:.2f} | {each.unit} | {each.target} |"
        for each in rows
    ]
    print("\n".join(lines))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "serving.md").write_text("\n".join(lines) + "\n")
    (folder / "serving.json").write_text(json.dumps({"about": head, "rows": [asdict(each) for each in rows]}, indent=1))


if __name__ == "__main__":
    main()
