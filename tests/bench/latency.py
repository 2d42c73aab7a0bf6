"""Measures one answer, stage by stage, on this machine: `python -m tests.bench.latency`.

Prints medians over repeats, and the machine's load before and after: with other work on the machine, times include
waiting for it, and only the processor time of an answer is the model's own. The model is the settings' (SANDBOX_MODEL,
SANDBOX_DEVICE).
"""

import argparse
import os
import statistics
import time

from PIL import Image, ImageDraw

from sandbox import STAGES, Reply, Request, load_engine

QUESTION = "What color is the circle?"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30, help="Answers of each kind.")
    parser.add_argument("--images", type=int, default=1, help="Pictures in each prompt, 0 to 10.")
    parser.add_argument("--tokens", type=int, default=16, help="Longest answer.")
    parser.add_argument("--batch", type=int, default=8, help="Requests of a batch.")
    options = parser.parse_args()

    before = load_average()
    started = time.perf_counter()
    engine = load_engine()
    print(engine.description)
    print(f"loaded in {time.perf_counter() - started:.1f} s, imports and warm-up included")

    request = Request(QUESTION, [picture(seed) for seed in range(options.images)], max_new_tokens=options.tokens)
    replies, processor_seconds = [], []
    for _ in range(options.repeats):
        started = time.process_time()
        replies += engine.answer_many([request])
        processor_seconds.append(time.process_time() - started)
    report(replies)
    print(f"  processor time of an answer {1000 * statistics.median(processor_seconds):.2f}")
    alone = statistics.median([reply.trace.seconds for reply in replies])

    seconds = []
    for _ in range(max(1, options.repeats // 4)):
        started = time.perf_counter()
        engine.answer_many([request] * options.batch)
        seconds.append(time.perf_counter() - started)
    together = statistics.median(seconds)
    times = options.batch * alone / together
    print(f"{options.batch} requests as one batch: {1000 * together:.1f} ms, {times:.1f} times as fast as one by one")
    print(f"load average before {before}, after {load_average()} on {os.cpu_count()} cores")


def report(replies: list[Reply]) -> None:
    """Print the medians of one kind of request."""
    trace = replies[0].trace
    print(
        f"{trace.prompt_tokens} prompt tokens, {trace.image_tokens} of them of pictures, {trace.new_tokens} new: "
        f"{replies[0].text!r}; median of {len(replies)}, ms"
    )
    for name in STAGES:
        times = [reply.trace.stage(name).seconds for reply in replies]
        print(f"  {name:<11}{1000 * statistics.median(times):9.2f}")
    print(
        f"  {'first token':<11}{1000 * statistics.median([reply.trace.first_token_seconds for reply in replies]):9.2f}"
    )
    print(f"  {'answer':<11}{1000 * statistics.median([reply.trace.seconds for reply in replies]):9.2f}")
    if speeds := [reply.trace.tokens_per_second for reply in replies if reply.trace.tokens_per_second]:
        print(f"  {statistics.median(speeds):.0f} tokens a second after the first")


def picture(seed: int) -> Image.Image:
    """Return a photo-sized drawing."""
    image = Image.new("RGB", (640, 480), "white")
    box = (200 + 10 * seed, 120, 400 + 10 * seed, 320)
    ImageDraw.Draw(image).ellipse(box, fill=["red", "blue", "green", "orange"][seed % 4])
    return image


def load_average() -> str:
    """Return the load of the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
