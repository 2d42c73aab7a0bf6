"""How long a start takes, beside a bare Gradio app's start on the same machine, in the same run and interleaved.

    python -m tests.bench.start [repeats]

A start is timed from the process's beginning to the first 200 for the page, and again to the model's readiness. Medians
with the range; the load average stands beside them.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.conftest import free_port

BARE = """
import gradio as gr
with gr.Blocks() as app:
    gr.Markdown("hello")
app.launch(server_port={port}, quiet=True)
"""


def answers(url: str) -> bytes | None:
    """Return the body of a 200, None otherwise."""
    try:
        with urllib.request.urlopen(  # noqa: S310
            urllib.request.Request(url, headers={"accept": "text/html"}),  # noqa: S310
            timeout=5,
        ) as reply:
            return reply.read() if reply.status == 200 else None
    except OSError:
        return None


def timed(command: list[str], port: int, data: Path, *, model: bool) -> tuple[float, float | None]:
    """Start a program and return the seconds to its first page, and to its model where it has one."""
    environment = {**os.environ, "SERVE_PORT": str(port), "DATA_DIR": str(data), "GRADIO_ANALYTICS_ENABLED": "False"}
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, cwd=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while answers(f"http://127.0.0.1:{port}/") is None:
            time.sleep(0.05)
        page = time.monotonic() - began
        while model:
            told = json.loads(answers(f"http://127.0.0.1:{port}/readyz") or b"{}")
            if told.get("model") in ("ready", "failed"):
                return page, time.monotonic() - began
            time.sleep(0.1)
        return page, None
    finally:
        process.terminate()
        process.wait(20)


def main(repeats: int) -> None:
    """Measure and print."""
    rows: dict[str, list[float]] = {
        "bare Gradio, first page": [],
        "Vivalab, first page": [],
        "Vivalab, model ready": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        for _ in range(repeats):
            port = free_port()
            rows["bare Gradio, first page"].append(
                timed([sys.executable, "-c", BARE.format(port=port)], port, data, model=False)[0]
            )
            page, ready = timed([sys.executable, "-m", "webapp.cli", "serve"], port, data, model=True)
            rows["Vivalab, first page"].append(page)
            rows["Vivalab, model ready"].append(ready or float("nan"))
    for name, seconds in rows.items():
        print(f"{name:26} {statistics.median(seconds):6.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})")
    ratio = statistics.median(rows["Vivalab, first page"]) / statistics.median(rows["bare Gradio, first page"])
    print(f"Vivalab / bare Gradio, first page: {ratio:.2f}; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
