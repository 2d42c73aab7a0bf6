"""Prompting: a table of pictures and expected answers against several prompts, scored."""

import base64
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import gradio as gr
from pydantic import BaseModel, ConfigDict, TypeAdapter

from sandbox import tiny
from sandbox.labs import prompting
from sandbox.labs.prompting import Case, Cell
from sandbox.tiny.questions import ask_color
from webapp.pages import pictures
from webapp.pages.frame import ACTS, candidate, in_words, log
from webapp.pages.live import MODEL_WAIT_SECONDS
from webapp.pages.view import render, view
from webapp.services import Services
from webapp.words import SORRY, words

NAME = "Prompting"
PATH = "prompting"
MOST_ROWS = 40
SCORES = {"Same answer": "exact", "Shared words": "words", "Same characters": "characters"}
BEGIN = "Six scenes with a question each, and four ways to ask. One click shows how much the wording decides."
CANNOT = (
    "The tiny model was trained on a few ways of asking. Another wording may fail for that reason alone, as it does, "
    "less visibly, with large models."
)


class Row(BaseModel):
    """A row of the table: a picture's source, its question and the expected answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    question: str = ""
    expected: str = ""


ROWS = TypeAdapter(tuple[Row, ...])


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    rows = gr.Textbox(ROWS.dump_json(example()).decode(), visible=False)
    with gr.Row(elem_classes=["bench"]):
        with gr.Column(elem_classes=["stack", "card"]):
            prompts = gr.Textbox(
                label=f"Prompts, one to a line; {prompting.QUESTION} stands for a row's question",
                value="\n".join(prompt.replace("\n", "\\n") for prompt in prompting.example(count=1)[1]),
                lines=5,
            )
            score = gr.Radio(list(SCORES), value="Same answer", label="Compare answers by")
            with gr.Row(elem_classes=["actions"]):
                stop_button = gr.Button("Stop", visible=False)
            chooser = pictures.build(page, services)
            view(render("small_print", text=CANNOT))
        with gr.Column(elem_classes=["stack"]):
            with gr.Column(elem_classes=["card"]):
                table = view(render_table(example()), script=ACTS)
            with gr.Column(elem_classes=["card"]):
                results = view(results_of([], [], [], BEGIN))

    @in_words
    def open_table(request: gr.Request) -> list[Any]:
        user_id, run_id = candidate(request), str(request.query_params.get("run", ""))
        if not run_id:
            return [gr.skip()] * 4
        settings = services.store.run(user_id=user_id, run_id=run_id).settings
        kept = ROWS.validate_python(settings.get("rows", ()))
        by = next((name for name, value in SCORES.items() if value == settings.get("score")), "Same answer")
        typed = "\n".join(str(prompt).replace("\n", "\\n") for prompt in settings.get("prompts", ()))
        return [ROWS.dump_json(kept).decode(), render_table(kept), typed, by]

    @in_words
    def work_table(
        stored: str, source: str, typed_prompts: str, by: str, request: gr.Request, event: gr.EventData
    ) -> Iterator[list[Any]]:
        user_id = services.known_candidate(candidate(request))
        now_rows = with_fields(ROWS.validate_json(stored), event)
        if event.act != "run":
            now_rows = changed(now_rows, event, source)
            yield [ROWS.dump_json(now_rows).decode(), render_table(now_rows), gr.skip(), gr.skip()]
            return
        kept = ROWS.dump_json(now_rows).decode()
        for shown in run_table(services, user_id, now_rows, lines_of(typed_prompts), SCORES[by]):
            yield [kept, gr.skip(), *shown]

    @in_words
    def stop_table(request: gr.Request) -> Any:
        candidate(request)
        return gr.update(visible=False)

    outputs = [rows, table, results, stop_button]
    page.load(open_table, None, [rows, table, prompts, score], queue=False)
    working = table.select(
        work_table, [rows, chooser.source, prompts, score], outputs, concurrency_limit=4, concurrency_id="prompting"
    )
    stop_button.click(stop_table, None, stop_button, cancels=working, queue=False)


def example() -> tuple[Row, ...]:
    """Return the rows to begin with: sampled scenes, whose answers are known."""
    rows: list[Row] = []
    for seed in range(200, 400):
        scene = tiny.sample_scene(Random(seed))
        question = ask_color(Random(seed), scene)
        if question and question.answer != "none":
            rows.append(Row(source=f"scene:{seed}", question=question.prompt, expected=question.answer))
        if len(rows) == 6:
            break
    return tuple(rows)


def with_fields(rows: Sequence[Row], event: Any) -> tuple[Row, ...]:
    """Return the rows with what stands in the browser's fields."""
    fields = event.fields if isinstance(event.fields, dict) else {}
    return tuple(
        Row(
            source=row.source,
            question=str(fields.get(f"question:{number}", row.question))[:500],
            expected=str(fields.get(f"expected:{number}", row.expected))[:500],
        )
        for number, row in enumerate(rows)
    )


def changed(rows: tuple[Row, ...], event: Any, source: str) -> tuple[Row, ...]:
    """Return the rows after a click: a row more with the chosen picture, or one less."""
    if event.act == "add" and source and len(rows) < MOST_ROWS:
        return (*rows, Row(source=source))
    if event.act == "remove" and str(event.row).isdecimal():
        return tuple(row for number, row in enumerate(rows) if number != int(event.row))
    return rows


def lines_of(typed: str) -> list[str]:
    """Return the prompts: one a line, a backslash and n for a line break."""
    return [line.replace("\\n", "\n") for line in typed.splitlines() if line.strip()]


def run_table(
    services: Services, user_id: str, rows: Sequence[Row], prompts: Sequence[str], score: Any
) -> Iterator[list[Any]]:
    """Run the table and yield what the page shows meanwhile: results and the stop button."""
    cells: list[Cell] = []
    showing = gr.update(visible=True)
    try:
        cases = [Case(services.pictures.get(user_id, row.source), row.question, row.expected) for row in rows]
        prompting.check(cases, prompts)
        yield [results_of(cells, rows, prompts, services.engine.progress), showing]
        engine = services.engine.get(timeout=MODEL_WAIT_SECONDS)
        total = len(cases) * len(prompts)
        for cell in prompting.answers(engine.answer, cases, prompts, score=score):
            cells.append(cell)
            yield [results_of(cells, rows, prompts, f"{len(cells)} of {total} answers."), showing]
        run = services.keep_run(
            user_id=user_id,
            kind=PATH,
            settings={
                "rows": [row.model_dump() for row in rows],
                "prompts": list(prompts),
                "score": score,
                "pictures": [row.source for row in rows],
            },
            figures={
                "text": "; ".join(f"{s.score:.2f}" for s in prompting.summarize(cells)),
                "cells": [[cell.case, cell.prompt, cell.reply.text, cell.score] for cell in cells],
            },
        )
        note = f"{total} answers."
        csv = prompting.to_csv(cells, cases, prompts)
        yield [results_of(cells, rows, prompts, note, csv=csv, run_id=run.id), gr.update(visible=False)]
    except Exception as error:
        sentence = words(error)
        if sentence is None:
            log.error("the table failed", exc_info=error)
        yield [results_of(cells, rows, prompts, sentence or SORRY), gr.update(visible=False)]


def render_table(rows: Sequence[Row]) -> str:
    """Return the table of cases."""
    return render("prompting_table", rows=[row.model_dump() for row in rows], full=len(rows) >= MOST_ROWS)


def results_of(
    cells: Sequence[Cell], rows: Sequence[Row], prompts: Sequence[str], note: str, *, csv: str = "", run_id: str = ""
) -> str:
    """Return scores by prompt, and every answer."""
    summaries = [
        {
            "prompt": prompts[s.prompt],
            "share": 100 * s.score,
            "score": s.score,
            "tokens": s.tokens,
            "milliseconds": 1000 * s.seconds,
        }
        for s in prompting.summarize(cells)
    ]
    grid = [
        {
            "source": row.source,
            "question": row.question,
            "expected": row.expected,
            "answers": [{"text": c.reply.text, "right": c.score >= 1, "score": c.score} for c in cells if c.case == n],
        }
        for n, row in enumerate(rows)
    ]
    encoded = base64.b64encode(csv.encode()).decode()
    return render(
        "prompting_results",
        note=note,
        summaries=summaries,
        cells=grid if cells else [],
        csv=encoded,
        run_id=run_id,
        columns=range(1, len(summaries) + 1),
    )
