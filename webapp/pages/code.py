"""The editor of a code exercise: code, its runs by the judge, and every earlier state of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from sandbox.judge import Check
from webapp import interview
from webapp.pages.frame import ACTS, candidate, in_words, log
from webapp.pages.trace import png_url
from webapp.pages.view import render, view
from webapp.pages.wording import count
from webapp.services import Services, now
from webapp.store import Run
from webapp.words import SORRY, words

NOT_YET = (
    "Run tries the public checks on fresh inputs. Submit tries all of them, and the live model with your code in it."
)


@dataclass(frozen=True)
class Panel:
    """The components that a page fills when it is loaded, in the order of `values`."""

    column: gr.Column
    head: gr.HTML
    editor: gr.Code
    results: gr.HTML
    history: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """The components, for a handler's outputs."""
        return [self.column, self.head, self.editor, self.results, self.history]


def build(services: Services, target: Callable[[gr.Request], tuple[str, str | None]], name: str) -> Panel:
    """Lay out the editor and connect its handlers.

    Args:
        services: The application's services.
        target: Returns, from a request, the exercise and the attempt that the code belongs to.
        name: Stands in the handlers' names, which are one page's own.
    """
    with gr.Column(visible=False, elem_classes=["card", "stack", "code-panel"]) as column:
        head = view(script="vivalab.code.mount(element, watch)")
        editor = gr.Code(
            language="python",
            lines=16,
            max_lines=32,
            wrap_lines=True,
            show_label=False,
            interactive=True,
            elem_classes=["code-editor"],
        )
        with gr.Row(elem_classes=["actions"]):
            run_button = gr.Button("Run")
            submit_button = gr.Button("Submit code")
            stop_button = gr.Button("Stop", visible=False)
            reset_button = gr.Button("Back to the starter")
        results = view(told(NOT_YET))
        history = view(script=ACTS)
    panel = Panel(column, head, editor, results, history)
    buttons = [run_button, submit_button, stop_button]

    def judged(source: str, request: gr.Request, everything: bool) -> Iterator[list[Any]]:
        user_id = services.known_candidate(candidate(request))
        exercise, attempt_id = target(request)
        yield from judge(services, user_id, exercise, attempt_id, source, everything)

    def run_code(source: str, request: gr.Request) -> Iterator[list[Any]]:
        yield from judged(source, request, everything=False)

    def submit_code(source: str, request: gr.Request) -> Iterator[list[Any]]:
        yield from judged(source, request, everything=True)

    def stop_code(request: gr.Request) -> None:
        services.judging.stop(candidate(request))

    def reset_code(source: str, request: gr.Request) -> list[Any]:
        user_id = services.known_candidate(candidate(request))
        exercise, attempt_id = target(request)
        keep(services, user_id, exercise, attempt_id, source)
        keep(services, user_id, exercise, attempt_id, interview.starter_of(services.catalog, exercise))
        return values(services, user_id, exercise, attempt_id)

    def bring_back(source: str, request: gr.Request, event: gr.EventData) -> list[Any]:
        user_id = services.known_candidate(candidate(request))
        exercise, attempt_id = target(request)
        keep(services, user_id, exercise, attempt_id, source)
        shown = interview.open_code(
            services.store, services.catalog, user_id=user_id, exercise=exercise, attempt_id=attempt_id
        )
        earlier = {version.id: version.source for version in shown.versions}
        keep(services, user_id, exercise, attempt_id, earlier.get(str(event.version), shown.source))
        return values(services, user_id, exercise, attempt_id)

    for handler in (run_code, submit_code, stop_code, reset_code, bring_back):
        handler.__name__ = f"{handler.__name__}_{name}"
    outputs = [results, history, *buttons]
    for button, handler in ((run_button, run_code), (submit_button, submit_code)):
        button.click(in_words(handler), editor, outputs, concurrency_limit=16, concurrency_id="code")
    stop_button.click(in_words(stop_code), None, None, queue=False)
    reset_button.click(in_words(reset_code), editor, panel.outputs)
    history.select(in_words(bring_back), editor, panel.outputs)
    editor.change(None, editor, None, js="(text) => { vivalab.code.changed(text); }")
    return panel


def hidden() -> list[Any]:
    """Return a panel's values where there is no code to write."""
    return [gr.update(visible=False), *[gr.skip()] * 4]


def values(services: Services, user_id: str, exercise: str, attempt_id: str | None) -> list[Any]:
    """Return a panel's values, in the order of its outputs."""
    shown = interview.open_code(
        services.store, services.catalog, user_id=user_id, exercise=exercise, attempt_id=attempt_id
    )
    status = services.jail.status
    head = render(
        "code_head",
        exercise=exercise,
        attempt=attempt_id or "",
        saved_at=shown.saved_at,
        source=shown.source,
        refused="" if status.available else status.sentence,
        confined=status.confined,
    )
    last = shown.runs[0] if shown.runs else None
    results = run_results(last) if last else told(NOT_YET)
    return [gr.update(visible=True), head, shown.source, results, render_history(shown)]


def judge(
    services: Services, user_id: str, exercise: str, attempt_id: str | None, source: str, everything: bool
) -> Iterator[list[Any]]:
    """Judge code and yield what the page shows meanwhile: results, history, and the three buttons."""
    busy = [gr.update(visible=False), gr.update(visible=False), gr.update(visible=True)]
    checks: list[dict[str, Any]] = []
    yield [told("Waiting for a free place."), gr.skip(), *busy]
    try:
        keep(services, user_id, exercise, attempt_id, source)
        for found in services.judging.run(
            user_id=user_id,
            exercise=exercise,
            attempt_id=attempt_id,
            source=source,
            everything=everything,
            clock=now,
        ):
            if isinstance(found, interview.CodeRun):
                shown = interview.open_code(
                    services.store, services.catalog, user_id=user_id, exercise=exercise, attempt_id=attempt_id
                )
                yield [run_results(found.run, found.checks), render_history(shown), *idle()]
                return
            else:
                checks.append(check_line(found.name, found.passed, found.detail, found.picture))
                yield [told(f"{count(len(checks), 'check')} done, more to come.", checks), gr.skip(), *busy]
        yield [told("Stopped. Your code is kept.", checks), gr.skip(), *idle()]
    except Exception as error:
        sentence = words(error)
        if sentence is None:
            log.error("the judge failed", exc_info=error)
        yield [told(sentence or SORRY, checks, trouble=True), gr.skip(), *idle()]


def keep(services: Services, user_id: str, exercise: str, attempt_id: str | None, source: str) -> None:
    """Keep a state of the code."""
    interview.save_code(
        services.store,
        services.catalog,
        user_id=user_id,
        exercise=exercise,
        attempt_id=attempt_id,
        source=source,
        now=now(),
    )


def idle() -> list[Any]:
    """Return the three buttons as they are while nothing runs."""
    return [gr.update(visible=True), gr.update(visible=True), gr.update(visible=False)]


def told(note: str, checks: Sequence[dict[str, Any]] = (), *, trouble: bool = False) -> str:
    """Return the results of a run that isn't over."""
    return render(
        "code_results",
        note=note,
        trouble=trouble,
        checks=checks,
        summary=None,
        error="",
        prints="",
        prints_cut=False,
        notes=(),
    )


def check_line(name: str, passed: bool, detail: str, picture: bytes | None = None) -> dict[str, Any]:
    """Return a check as the page shows it."""
    return {"name": name, "passed": passed, "detail": detail, "picture": png_url(picture) if picture else None}


def run_results(run: Run, checks: Sequence[Check] = ()) -> str:
    """Return the results of a kept run; pictures of differences are there only right after it."""
    found = run.figures
    pictures = {check.name: check.picture for check in checks}
    lines = [check_line(c["name"], c["passed"], c["detail"], pictures.get(c["name"])) for c in found["checks"]]
    return render(
        "code_results",
        note="",
        trouble=False,
        checks=lines,
        summary={
            "title": "All checks" if run.settings["everything"] else "Public checks",
            "passed": sum(line["passed"] for line in lines),
            "of": len(lines),
            "all_passed": found["passed"],
            "seconds": found["seconds"],
            "megabytes": None if found["peak_bytes"] is None else found["peak_bytes"] / 2**20,
            "seed": run.settings["seed"],
            "when": run.created_at,
        },
        error=found["error"] or "",
        prints=found["prints"],
        prints_cut=found["prints_cut"],
        notes=found["notes"],
    )


def render_history(shown: interview.CodeView) -> str:
    """Return the runs and the earlier states of the code."""
    return render(
        "code_history",
        runs=[
            {
                "when": run.created_at,
                "what": "submitted" if run.settings["everything"] else "run",
                "passed": sum(check["passed"] for check in run.figures["checks"]),
                "of": len(run.figures["checks"]),
            }
            for run in shown.runs
        ],
        versions=[
            {"id": version.id, "when": version.saved_at, "lines": version.source.count("\n") + 1}
            for version in shown.versions[1:]
        ],
    )


def kept_lines(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the runs of code among runs as report and review show them, newest first."""
    return [
        {
            "when": run.created_at,
            "what": "Submitted" if run.settings["everything"] else "Run",
            "all_passed": run.figures["passed"],
            "passed": sum(check["passed"] for check in run.figures["checks"]),
            "of": len(run.figures["checks"]),
            "failed": [check for check in run.figures["checks"] if not check["passed"]],
            "error": run.figures["error"],
            "source": run.settings["source"],
        }
        for run in runs
        if run.kind == interview.KIND
    ]
