"""Batching: a set of requests answered one by one, in padded batches, and in the slots, with what each way costs."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from sandbox import Request
from sandbox.labs import batching
from sandbox.labs.batching import MOST_REQUESTS, MOST_ROWS, Outcome, Served
from webapp.pages.frame import ACTS, candidate, in_words, log
from webapp.pages.pictures import SCENES
from webapp.pages.view import render, view
from webapp.services import MODEL_WAIT_SECONDS, Services
from webapp.words import SORRY, words

NAME = "Batching"
PATH = "batching"
MOST_PICTURES = 10
MOST_PASSES = 5
NAMES = {
    "sequential": "One by one",
    "padded": "Padded, in the order given",
    "sorted": "Padded, sorted by length",
    "slots": "Slots (this engine)",
}
BEGIN = "Eight requests of very different length. One click answers them in four ways and draws what each computes."
CANNOT = (
    "The tiny model is sure of no more than two pictures, so judge costs here, not answers. A prompt costs by its "
    "positions, so padding is paid in full; a step of the answers costs little more for several rows than for one. So "
    "batches gain on long answers of like prompts and lose on short answers of unlike ones. Other work on this machine "
    "is in every time: the load stands beside it, and another run gives other figures."
)


class Row(BaseModel):
    """A request: how many scenes, from which one on, and the prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: int = Field(ge=0, le=MOST_PICTURES)
    first: int = 0
    prompt: str = Field(max_length=500)

    @property
    def sources(self) -> list[str]:
        """The pictures' sources."""
        return [SCENES[(self.first + number) % len(SCENES)] for number in range(self.pictures)]


ROWS = TypeAdapter(tuple[Row, ...])


def mixed() -> tuple[Row, ...]:
    """Return requests of 0 to 10 pictures, long and short in turn."""
    asked = (
        (1, "Describe the image."),
        (10, "How many shapes are there in the first image?"),
        (0, "What is a rectangle?"),
        (2, "What color is the circle?"),
        (5, "How many shapes are there in the first image?"),
        (0, "Hello"),
        (1, "What does the text say?"),
        (1, "Describe the image."),
    )
    return tuple(Row(pictures=count, first=place, prompt=prompt) for place, (count, prompt) in enumerate(asked))


def alike() -> tuple[Row, ...]:
    """Return eight requests of one picture and the same prompt: next to nothing to pad."""
    return tuple(Row(pictures=1, first=place, prompt="Describe the image.") for place in range(8))


def one_long() -> tuple[Row, ...]:
    """Return seven short requests and one that is long in prompt and answer."""
    return (*alike()[:7], Row(pictures=10, first=0, prompt="Describe the image."))


MIXES = {"Mixed": mixed, "All alike": alike, "One long": one_long}


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    start = fitting(mixed(), services)
    rows = gr.Textbox(ROWS.dump_json(start).decode(), visible=False)
    with gr.Row(elem_classes=["bench"]):
        with gr.Column(elem_classes=["stack", "card"]):
            size = gr.Slider(1, MOST_ROWS, value=4, step=1, label="Rows of a padded batch")
            longest = gr.Slider(1, 128, value=32, step=1, label="Longest answer, tokens")
            passes = gr.Slider(1, MOST_PASSES, value=3, step=1, label="Times over; the median counts")
            with gr.Row(elem_classes=["actions"]):
                stop_button = gr.Button("Stop", visible=False)
            view(render("small_print", text=CANNOT))
        with gr.Column(elem_classes=["stack"]):
            with gr.Column(elem_classes=["card"]):
                table = view(render_requests(start, services), script=ACTS)
            with gr.Column(elem_classes=["card"]):
                results = view(render_outcomes([], (), BEGIN))

    @in_words
    def open_batching(request: gr.Request) -> list[Any]:
        user_id, run_id = candidate(request), str(request.query_params.get("run", ""))
        if not run_id:
            return [gr.skip()] * 5
        kept = services.store.run(user_id=user_id, run_id=run_id).settings
        found = fitting(ROWS.validate_python(kept.get("requests", ())), services)
        return [
            ROWS.dump_json(found).decode(),
            render_requests(found, services),
            kept.get("rows_of_a_batch", 4),
            kept.get("longest_answer", 32),
            kept.get("passes", 3),
        ]

    @in_words
    def work_requests(
        stored: str, most_rows: float, most_tokens: float, times: float, request: gr.Request, event: gr.EventData
    ) -> Iterator[list[Any]]:
        user_id = services.known_candidate(candidate(request))
        asked = fitting(with_fields(ROWS.validate_json(stored), event), services)
        if event.act != "run":
            asked = fitting(changed(asked, event), services)
            yield [ROWS.dump_json(asked).decode(), render_requests(asked, services), gr.skip(), gr.skip()]
            return
        kept = ROWS.dump_json(asked).decode()
        for shown in run_requests(
            services, user_id, asked, int(most_rows), int(most_tokens), min(MOST_PASSES, max(1, int(times)))
        ):
            yield [kept, gr.skip(), *shown]

    @in_words
    def stop_requests(request: gr.Request) -> Any:
        candidate(request)
        return gr.update(visible=False)

    page.load(open_batching, None, [rows, table, size, longest, passes], queue=False)
    working = table.select(
        work_requests,
        [rows, size, longest, passes],
        [rows, table, results, stop_button],
        concurrency_limit=2,
        concurrency_id="batching",
    )
    stop_button.click(stop_requests, None, stop_button, cancels=working, queue=False)


def fitting(rows: Sequence[Row], services: Services) -> tuple[Row, ...]:
    """Return the requests with no more pictures than the host allows."""
    most = min(MOST_PICTURES, services.settings.max_images)
    return tuple(row.model_copy(update={"pictures": min(row.pictures, most)}) for row in rows[:MOST_REQUESTS])


def with_fields(rows: Sequence[Row], event: Any) -> tuple[Row, ...]:
    """Return the requests with what stands in the browser's fields."""
    fields = event.fields if isinstance(event.fields, dict) else {}
    return tuple(
        Row(
            pictures=pictures_in(str(fields.get(f"pictures:{number}", row.pictures)), row.pictures),
            first=row.first,
            prompt=str(fields.get(f"prompt:{number}", row.prompt))[:500],
        )
        for number, row in enumerate(rows)
    )


def pictures_in(typed: str, before: int) -> int:
    """Return the number of pictures in a field, at most `MOST_PICTURES`; what was there before if it is no number."""
    return min(MOST_PICTURES, int(typed)) if typed.isdecimal() else before


def changed(rows: tuple[Row, ...], event: Any) -> tuple[Row, ...]:
    """Return the requests after a click: one more, one less, or another mix."""
    if event.act == "add" and len(rows) < MOST_REQUESTS:
        return (*rows, Row(pictures=1, first=len(rows), prompt="Describe the image."))
    if event.act == "remove" and str(event.row).isdecimal():
        return tuple(row for number, row in enumerate(rows) if number != int(event.row))
    if event.act == "mix" and event.name in MIXES:
        return MIXES[event.name]()
    return rows


def run_requests(
    services: Services, user_id: str, rows: Sequence[Row], size: int, longest: int, times: int
) -> Iterator[list[Any]]:
    """Answer the requests in every way and yield what the page shows meanwhile: results and the stop button."""
    outcomes: list[Outcome] = []
    passes: list[list[Outcome]] = []
    showing = gr.update(visible=True)
    try:
        requests = [
            Request(row.prompt, services.pictures.get_all(user_id, row.sources), max_new_tokens=longest, user=user_id)
            for row in rows
        ]
        batching.check(requests, size)
        yield [render_outcomes([], rows, services.engine.progress), showing]
        engine = services.engine.get(timeout=MODEL_WAIT_SECONDS)
        for number in range(1, times + 1):
            for outcomes in batching.compare(engine, requests, size=size):
                now = outcomes[-1]
                note = f"Time {number} of {times}. {NAMES[now.strategy]}: {len(now.served)} of {len(rows)} answers."
                yield [render_outcomes(outcomes, rows, note), showing]
            passes.append(outcomes)
        outcomes = batching.middle(passes)
        run = services.keep_run(
            user_id=user_id,
            kind=PATH,
            settings={
                "prompt": f"{len(rows)} requests in four ways",
                "requests": [row.model_dump() for row in rows],
                "rows_of_a_batch": size,
                "longest_answer": longest,
                "passes": times,
            },
            figures=kept(outcomes),
        )
        yield [render_outcomes(outcomes, rows, "", passes=passes, run_id=run.id), gr.update(visible=False)]
    except Exception as error:
        sentence = words(error)
        if sentence is None:
            log.error("the comparison failed", exc_info=error)
        yield [render_outcomes(outcomes, rows, sentence or SORRY), gr.update(visible=False)]


def kept(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the outcomes for a run's figures."""
    alone = outcomes[0]
    figures: dict[str, Any] = {"text": verdict(outcomes)}
    for outcome in outcomes:
        figures[f"{outcome.strategy}_seconds"] = outcome.seconds
        figures[f"{outcome.strategy}_times_as_fast"] = outcome.times_as_fast(alone)
        figures[f"{outcome.strategy}_wasted_share"] = outcome.wasted
    figures["load_average"] = outcomes[-1].load
    return figures


def verdict(outcomes: Sequence[Outcome]) -> str:
    """Return which way was fastest and which lost, and whether the answers are the same."""
    alone = outcomes[0]
    slower = [NAMES[each.strategy] for each in outcomes[1:] if each.seconds > alone.seconds]
    best = min(outcomes, key=lambda each: each.seconds)
    told = f"Fastest this time: {NAMES[best.strategy]}."
    if slower:
        told += f" Slower than one by one: {'; '.join(slower)}."
    different = [f"{NAMES[each.strategy]} {len(each.different)}" for each in outcomes[1:] if each.different]
    if different:
        return f"{told} Answers that differ from one by one: {', '.join(different)}."
    return f"{told} Every answer is token for token the one that was given alone."


def render_requests(rows: Sequence[Row], services: Services) -> str:
    """Return the table of requests."""
    return render(
        "batching_requests",
        rows=[{"pictures": row.pictures, "prompt": row.prompt, "sources": row.sources} for row in rows],
        most=min(MOST_PICTURES, services.settings.max_images),
        mixes=list(MIXES),
        full=len(rows) >= MOST_REQUESTS,
    )


def render_outcomes(
    outcomes: Sequence[Outcome],
    rows: Sequence[Row],
    note: str,
    *,
    passes: Sequence[Sequence[Outcome]] = (),
    run_id: str = "",
) -> str:
    """Return each way's figures, and its requests as bars of positions and of time."""
    widest = max((each.positions for outcome in outcomes for each in outcome.served), default=1)
    slowest = max((each.whole for outcome in outcomes for each in outcome.served), default=1.0)
    fastest = max((outcome.answers_per_second for outcome in outcomes), default=1.0)
    finished = [outcome for outcome in outcomes if len(outcome.served) == len(rows)]
    alone = outcomes[0] if finished else None
    spread = batching.ratios(passes) if len(passes) > 1 else []
    return render(
        "batching",
        times=len(passes),
        note=note,
        verdict=verdict(finished) if run_id else "",
        preparing=100 * alone.preparing / alone.seconds if alone and run_id else None,
        run_id=run_id,
        ways=[
            {
                "name": NAMES[outcome.strategy],
                "slots": outcome.strategy == "slots",
                "share": 100 * outcome.answers_per_second / fastest,
                "answers": outcome.answers_per_second,
                "tokens": outcome.tokens_per_second,
                "ratio": outcome.times_as_fast(alone) if alone and outcome in finished else None,
                "spread": spread[place] if spread and place else None,
                "wasted": 100 * outcome.wasted,
                "first": 1000 * outcome.first_token,
                "whole": 1000 * outcome.whole,
                "same": sum(each.same for each in outcome.served),
                "served": len(outcome.served),
                "seconds": outcome.seconds,
                "load": outcome.load,
                "lanes": lanes(outcome, widest, slowest),
            }
            for place, outcome in enumerate(outcomes)
        ],
    )


def lanes(outcome: Outcome, widest: int, slowest: float) -> list[dict[str, Any]]:
    """Return a way's requests in the order in which they were answered, as shares of the widest and the slowest."""
    found, before = [], -1
    for each in outcome.served:
        found.append(
            {
                "number": each.request + 1,
                "begins": each.batch != before and outcome.strategy in ("padded", "sorted"),
                "parts": parts(each, slots=outcome.strategy == "slots", widest=widest),
                "text": each.text,
                "first": 100 * each.first_token / slowest,
                "rest": 100 * (each.whole - each.first_token) / slowest,
                "first_ms": 1000 * each.first_token,
                "whole_ms": 1000 * each.whole,
                "same": each.same,
            }
        )
        before = each.batch
    return found


def parts(served: Served, *, slots: bool, widest: int) -> list[dict[str, Any]]:
    """Return a bar's parts in the order in which they stand; batches are padded in front, slots behind the prompt."""
    padding = ("padding", served.padding)
    prompt = [("image", served.image_tokens), ("text", served.text_tokens)]
    stretch = [*prompt, padding] if slots else [padding, *prompt]
    stretch += [("answer", served.new_tokens), ("idle", served.idle)]
    return [{"kind": kind, "count": count, "share": 100 * count / widest} for kind, count in stretch if count]
