"""Cache: what the engine's caches hold and save, and that what differs never shares an entry."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr
from PIL import ImageOps

from sandbox import BadOption, Request, open_image
from sandbox.labs import caching
from sandbox.labs.batching import load_average
from sandbox.labs.caching import CACHES, WAYS, Asking, Finding, Hits
from webapp.identity import NotAnInterviewer
from webapp.pages import pictures
from webapp.pages.frame import candidate, in_words, interviewer, log
from webapp.pages.trace import data_url
from webapp.pages.view import render, view
from webapp.pictures import sources_of
from webapp.runs import outcome, receipt_of
from webapp.services import MODEL_WAIT_SECONDS, Services
from webapp.words import SORRY, words

NAME = "Cache"
PATH = "cache"
QUESTION = "Describe the image."
SHOWN_SIDE = 56
LAYERS = {
    "pixels": ("Pixels", "Decoding, resizing and normalizing a picture"),
    "features": ("Features", "Vision tower and projector"),
    "prefixes": ("Prefix keys and values", "The language model's pass over the prompt up to the last picture"),
}
SAYS: dict[bool | None, str] = {True: "hit", False: "miss", None: "not asked"}
BEGIN = "A picture is chosen already. One click asks three times: without the caches, with them, and again."
DIFFERENCES = (
    "A new picture is made from the chosen one, so that nobody has asked about it before; then come pictures and "
    "questions that differ from it in one thing each. What changes a number must miss."
)
CANNOT = (
    "With the tiny model a hit saves milliseconds, of the same order as this machine's other work, which is in every "
    "time here. How much each layer saves is another matter with a large model: ask there."
)
SHARED = "The caches are everybody's who uses this sandbox, so only an interviewer can clear them."


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    with gr.Row(elem_classes=["bench"]):
        with gr.Column(elem_classes=["stack", "card"]):
            chooser = pictures.build(page, services)
            prompt = gr.Textbox(label="Prompt", value=QUESTION, lines=2, max_lines=4)
            with gr.Row(elem_classes=["actions"]):
                again_button = gr.Button("Ask, and ask again", variant="primary")
                cold_button = gr.Button("Ask without the caches")
            view(render("small_print", text=CANNOT))
        with gr.Column(elem_classes=["stack"]):
            with gr.Column(elem_classes=["card"]):
                asked = view(render_askings([], BEGIN))
            with gr.Column(elem_classes=["card"]):
                with gr.Row(elem_classes=["actions"]):
                    probe_button = gr.Button("Try what must miss")
                    stop_button = gr.Button("Stop", visible=False)
                findings = view(render_findings([], DIFFERENCES))
            with gr.Column(elem_classes=["card"]):
                state = view(render("caches", note="", caches=[]))
                with gr.Row(elem_classes=["actions"]):
                    clear_button = gr.Button("Clear the caches", visible=False)
                view(render("small_print", text=SHARED))

    @in_words
    def open_caches(request: gr.Request) -> list[Any]:
        user_id, run_id = candidate(request), str(request.query_params.get("run", ""))
        try:
            interviewer(request)
            may_clear = True
        except NotAnInterviewer:
            may_clear = False
        shown = [render_state(services), gr.update(visible=may_clear)]
        if not run_id:
            return [*shown, *[gr.skip()] * (len(chooser.outputs) + 1)]
        settings = services.store.run(user_id=user_id, run_id=run_id).settings
        found = sources_of(settings)
        return [*shown, *pictures.choice(found[0] if found else ""), str(settings.get("prompt", QUESTION))]

    @in_words
    def ask_again(source: str, text: str, request: gr.Request) -> Iterator[list[Any]]:
        user_id = services.known_candidate(candidate(request))
        question = Request(text, services.pictures.get_all(user_id, [source]), user=user_id)
        yield [render_askings([], services.engine.progress), gr.skip()]
        engine = services.engine.get(timeout=MODEL_WAIT_SECONDS)
        askings: list[Asking] = []
        for asking in caching.ask_again(engine, question):
            askings.append(asking)
            yield [render_askings(askings, f"Asked {len(askings)} of {len(WAYS)} times."), render_state(services)]
        yield [render_askings(askings, "", run_id=keep(services, user_id, text, source, askings)), gr.skip()]

    @in_words
    def ask_cold(source: str, text: str, request: gr.Request) -> Iterator[list[Any]]:
        user_id = services.known_candidate(candidate(request))
        question = Request(text, services.pictures.get_all(user_id, [source]), user=user_id, cache=False)
        yield [render_askings([], services.engine.progress), gr.skip()]
        askings = [Asking(WAYS[0], services.engine.get(timeout=MODEL_WAIT_SECONDS).answer_many([question])[0])]
        run_id = keep(services, user_id, text, source, askings)
        yield [render_askings(askings, "", run_id=run_id), render_state(services)]

    @in_words
    def try_differences(source: str, text: str, request: gr.Request) -> Iterator[list[Any]]:
        user_id = services.known_candidate(candidate(request))
        yield from run_differences(services, user_id, source, text)

    @in_words
    def stop_differences(request: gr.Request) -> list[Any]:
        candidate(request)
        return idle()

    @in_words
    def clear_caches(request: gr.Request) -> str:
        interviewer(request)
        services.engine.get(timeout=MODEL_WAIT_SECONDS).clear_caches()
        return render_state(services, "Cleared: the next questions are computed anew. The counts go on.")

    question = [chooser.source, prompt]
    page.load(open_caches, None, [state, clear_button, *chooser.outputs, prompt], queue=False)
    again_button.click(ask_again, question, [asked, state], concurrency_limit=8, concurrency_id="cache")
    cold_button.click(ask_cold, question, [asked, state], concurrency_limit=8, concurrency_id="cache")
    trying = probe_button.click(
        try_differences,
        question,
        [findings, state, probe_button, stop_button],
        concurrency_limit=4,
        concurrency_id="differences",
    )
    stop_button.click(stop_differences, None, [probe_button, stop_button], cancels=trying, queue=False)
    clear_button.click(clear_caches, None, state)


def idle() -> list[Any]:
    """Return the two buttons as they are while nothing is tried."""
    return [gr.update(visible=True), gr.update(visible=False)]


def run_differences(services: Services, user_id: str, source: str, prompt: str) -> Iterator[list[Any]]:
    """Try what must miss and yield what the page shows meanwhile: findings, the caches, and the two buttons."""
    findings: list[Finding] = []
    busy = [gr.update(visible=False), gr.update(visible=True)]
    try:
        if not source:
            raise BadOption("The pictures are made from a chosen one. Choose a picture.")
        picture = open_image(services.pictures.get(user_id, source), max_pixels=services.settings.max_image_pixels)
        yield [render_findings([], services.engine.progress), gr.skip(), *busy]
        engine = services.engine.get(timeout=MODEL_WAIT_SECONDS)
        for finding in caching.differences(engine, picture, prompt, user=user_id):
            findings.append(finding)
            yield [render_findings(findings, f"{len(findings)} tried."), gr.skip(), *busy]
        right = sum(finding.as_expected for finding in findings)
        note = f"{right} of {len(findings)} did what they must."
        services.keep_run(
            user_id=user_id,
            kind=PATH,
            settings={"prompt": prompt, "pictures": [source]},
            figures={"text": note, "tried": len(findings), "as_expected": right},
        )
        yield [render_findings(findings, note), render_state(services), *idle()]
    except Exception as error:
        sentence = words(error)
        if sentence is None:
            log.error("the differences failed", exc_info=error)
        yield [render_findings(findings, sentence or SORRY), gr.skip(), *idle()]


def keep(services: Services, user_id: str, prompt: str, source: str, askings: Sequence[Asking]) -> str:
    """Keep what was asked, with the last answer's trace, and return the run's id."""
    figures = outcome(askings[-1].reply)
    if len(askings) == len(WAYS):
        figures |= {f"ms_saved_{cache}": 1000 * saved(askings, cache) for cache in CACHES}
    return services.keep_run(
        user_id=user_id,
        kind=PATH,
        settings={"prompt": prompt, "pictures": [source]},
        figures=figures,
        receipt=receipt_of(askings[-1].reply),
    ).id


def saved(askings: Sequence[Asking], cache: str) -> float:
    """Return the seconds between the first asking, without the caches, and the last."""
    return askings[0].seconds(cache) - askings[-1].seconds(cache)


def render_askings(askings: Sequence[Asking], note: str, *, run_id: str = "") -> str:
    """Return what each asking cost by layer, what the caches had, and whether the numbers are the same."""
    complete = len(askings) == len(WAYS)
    longest = max((asking.seconds(cache) for asking in askings for cache in CACHES), default=0.0) or 1.0
    layers = [
        {
            "name": LAYERS[cache][0],
            "what": LAYERS[cache][1],
            "cells": [
                {
                    "ms": 1000 * asking.seconds(cache),
                    "share": 100 * asking.seconds(cache) / longest,
                    "says": SAYS[asking.hits[place]],
                }
                for asking in askings
            ],
            "saved": 1000 * saved(askings, cache) if complete else None,
        }
        for place, cache in enumerate(CACHES)
    ]
    first_tokens = [1000 * asking.first_token_seconds for asking in askings]
    digests = [asking.digest for asking in askings]
    return render(
        "cache_askings",
        note=note,
        run_id=run_id,
        times=1 + caching.REPEATS,
        load=load_average(),
        ways=[asking.way for asking in askings],
        layers=layers if askings else [],
        first_tokens=first_tokens,
        saved=first_tokens[0] - first_tokens[-1] if complete else None,
        text=askings[-1].reply.text if askings else "",
        digests=[digest[:16] for digest in digests],
        equal=len(set(digests)) == 1 and bool(digests[0]) if complete else None,
        same_text=len({asking.reply.tokens for asking in askings}) == 1,
    )


def render_findings(findings: Sequence[Finding], note: str) -> str:
    """Return what the caches did with each picture or question."""
    return render(
        "cache_findings",
        note=note,
        findings=[
            {
                "name": finding.probe.name,
                "why": finding.probe.why,
                "src": data_url(thumbnail(finding)),
                "hits": cells(finding.hits, finding.probe.expected),
                "text": finding.reply.text,
                "right": finding.as_expected,
            }
            for finding in findings
        ],
    )


def cells(hits: Hits, expected: Hits) -> list[dict[str, Any]]:
    """Return what each cache did, and what it had to do where that is something else."""
    return [
        {"cache": cache, "says": SAYS[hit], "hit": hit is True, "right": hit == must, "must": SAYS[must]}
        for cache, hit, must in zip(CACHES, hits, expected, strict=True)
    ]


def thumbnail(finding: Finding) -> Any:
    """Return the picture that was asked about, small, as the model sees it turned."""
    image = open_image(finding.probe.request.images[0], max_pixels=caching.SIDE**2)
    return ImageOps.contain(image, (SHOWN_SIDE, SHOWN_SIDE))


def render_state(services: Services, note: str = "") -> str:
    """Return how the caches stand; why not, while no model is loaded."""
    if services.engine.state != "ready":
        return render("caches", note=services.engine.progress, caches=[])
    reports = services.engine.get(timeout=MODEL_WAIT_SECONDS).cache_report()
    return render(
        "caches",
        note=note,
        caches=[
            {
                "name": LAYERS[report.name][0],
                "what": LAYERS[report.name][1],
                "entries": report.entries,
                "megabytes": report.bytes / 1e6,
                "limit": report.limit_bytes / 1e6,
                "share": 100 * report.bytes / report.limit_bytes if report.limit_bytes else 0.0,
                "hits": report.hits,
                "misses": report.misses,
                "evictions": report.evictions,
                "saved": report.saved_seconds,
            }
            for report in reports
        ],
    )
