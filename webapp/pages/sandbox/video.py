"""Video: which frames of a clip to look at, and the chosen ones as pictures of one prompt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from sandbox.labs.video import CUT, STRATEGIES, Clip, differences, draw_clip, read_clip, sample, shots_seen
from webapp.pages import pictures
from webapp.pages.frame import candidate, in_words
from webapp.pages.live import MODEL_WAIT_SECONDS, said
from webapp.pages.trace import data_url, figures
from webapp.pages.view import picture_input, render, view
from webapp.runs import outcome
from webapp.services import Services

NAME = "Video"
PATH = "video"
FRAME_SIDE = 56  # pixels, of a frame as the page shows it
QUESTION = "How many shapes are there in the first image?"
BEGIN = "A drawn clip of five shots, some of them very short. Choose how to sample it."
CANNOT = (
    "The tiny model sees chosen frames as single pictures in a row: it has no idea of motion or time, and is sure of "
    "no more than two pictures at once. The page shows what sampling keeps, and what each frame costs in tokens."
)


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    source = gr.Textbox("", visible=False)
    with gr.Row(elem_classes=["bench"]):
        with gr.Column(elem_classes=["stack", "card"]):
            with gr.Tabs():
                with gr.Tab("Drawn"):
                    seed = gr.Number(0, label="Clip number", precision=0, minimum=0, maximum=9999)
                with gr.Tab("Upload"):
                    upload = picture_input(label="An animated GIF, WebP or PNG", sources=["upload"], height=160)
                    view(render("small_print", text=pictures.upload_sentence(services)))
            strategy = gr.Radio(list(STRATEGIES), value=next(iter(STRATEGIES)), label="Frames to take")
            budget = gr.Slider(1, services.settings.max_images, value=5, step=1, label="Frames at most")
            with gr.Row(elem_classes=["actions"]):
                sample_button = gr.Button("Sample the clip", variant="primary")
            prompt = gr.Textbox(label="Prompt about the frames", value=QUESTION, lines=2)
            with gr.Row(elem_classes=["actions"]):
                ask_button = gr.Button("Ask about these frames")
            view(render("small_print", text=CANNOT))
        with gr.Column(elem_classes=["stack"]):
            with gr.Column(elem_classes=["card"]):
                strip = view(render("video", note=BEGIN, frames=[], bars=[], strategies=[]))
            with gr.Column(elem_classes=["card"]):
                reply = view(said("", note="The answer to a prompt about the chosen frames appears here."))

    @in_words
    def take_clip(path: str | None, request: gr.Request) -> list[Any]:
        user_id = candidate(request)
        if not path:
            return ["", gr.skip()]
        data = Path(path).read_bytes()
        try:
            read_clip(data)
        finally:
            kept = pictures.take_from_cache(services, user_id, Path(path))
        return [kept, None]

    @in_words
    def sample_clip(kept: str, number: float, chosen: str, most: float, request: gr.Request) -> str:
        user_id = candidate(request)
        return render_clip(clip_of(services, user_id, kept, number), chosen, int(most))

    @in_words
    def ask_frames(
        kept: str, number: float, chosen: str, most: float, text: str, request: gr.Request
    ) -> Iterator[list[Any]]:
        user_id = services.known_candidate(candidate(request))
        clip = clip_of(services, user_id, kept, number)
        frames = sample(clip, chosen, int(most))
        yield [render_clip(clip, chosen, int(most)), said("", asked=text, note=services.engine.progress)]
        engine = services.engine.get(timeout=MODEL_WAIT_SECONDS)
        done = engine.answer(text, [clip.frames[index] for index in frames])
        settings = {"prompt": text, "clip": kept or int(number), "strategy": chosen, "frames": frames}
        run = services.keep_run(user_id=user_id, kind=PATH, settings=settings, figures=outcome(done))
        tokens = f", {done.trace.image_tokens} image tokens" if done.trace.stages else ""
        note = f"{len(frames)} frames{tokens}. {figures(done)}"
        yield [gr.skip(), said(done.text, asked=text, note=note, run_id=run.id)]

    @in_words
    def open_clip(request: gr.Request) -> list[Any]:
        user_id, run_id = candidate(request), str(request.query_params.get("run", ""))
        if not run_id:
            return [gr.skip()] * 5
        settings = services.store.run(user_id=user_id, run_id=run_id).settings
        clip, chosen = settings.get("clip", 0), str(settings.get("strategy", ""))
        return [
            clip if isinstance(clip, str) else "",
            clip if isinstance(clip, int) else 0,
            chosen if chosen in STRATEGIES else gr.skip(),
            len(settings.get("frames", ())) or gr.skip(),
            str(settings.get("prompt", "")),
        ]

    choices = [source, seed, strategy, budget]
    page.load(open_clip, None, [*choices, prompt], queue=False).then(sample_clip, choices, strip)
    upload.input(take_clip, upload, [source, upload])
    seed.input(None, None, source, js="() => ''")
    sample_button.click(sample_clip, choices, strip)
    ask_button.click(ask_frames, [*choices, prompt], [strip, reply], concurrency_limit=8, concurrency_id="ask")


def clip_of(services: Services, user_id: str, source: str, seed: float) -> Clip:
    """Return one's own uploaded clip, or the drawn one of that number."""
    if not source:
        return draw_clip(int(seed or 0))
    data = services.pictures.get(user_id, source)
    return read_clip(data if isinstance(data, bytes) else b"")


def render_clip(clip: Clip, strategy: str, budget: int) -> str:
    """Return the clip's differences over time, the chosen frames, and what each strategy sees."""
    steps = differences(clip.frames)
    chosen = sample(clip, strategy, budget)
    height = max(CUT, float(steps.max(initial=0)))
    rows = []
    for name in STRATEGIES:
        seen, shots = shots_seen(clip, sample(clip, name, budget))
        rows.append({"name": name, "seen": seen, "shots": shots, "here": name == strategy})
    size = (FRAME_SIDE, FRAME_SIDE)
    return render(
        "video",
        note=f"{len(clip.frames)} frames, {clip.seconds:.1f} s at {clip.fps:g} a second; {len(chosen)} are taken.",
        frames=[
            {"src": data_url(clip.frames[index].resize(size)), "index": index, "at": index / clip.fps}
            for index in chosen
        ],
        bars=[
            {"height": 100 * float(step) / height, "cut": bool(step >= CUT), "taken": index in set(chosen)}
            for index, step in enumerate(np.concatenate([[0.0], steps]))
        ],
        strategies=rows,
    )
