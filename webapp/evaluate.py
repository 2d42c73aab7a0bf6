"""What `vivalab evaluate` does: choose grader and sets, measure with progress, show and keep the figures."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from content import Split, load_catalog
from webapp.feedback import CoverageGrader, Grader, GraderAway, HostGrader, MemoryLog
from webapp.feedback.evaluation import LabelledSet, evaluate, outside_sets, pack_set, reviewers_set
from webapp.feedback.evaluation.table import show
from webapp.feedback.measured import FOLDER, save_result
from webapp.settings import Settings
from webapp.store import Store


class GraderMissing(Exception):
    """The grader that was asked for isn't set up; its text says what to set."""


def run(
    settings: Settings,
    *,
    kind: str,
    folder: Path | None,
    only: Sequence[str],
    questions: Sequence[str],
    attacks: bool,
    retest: bool,
    out: Path | None,
) -> None:
    """Measure a grader, print the tables and write the figures.

    Raises:
        GraderMissing: No such grader is set up.
    """
    console = Console()
    log = MemoryLog(reuse=False)  # a second grading is to ask again
    grader = choose(settings, kind, log)
    sets = [found for found in gather(settings, folder, console) if not only or found.name in only]
    sets = [narrowed(found, questions) for found in sets]
    catalog = load_catalog().questions
    with Progress(console=console, transient=True) as bars:
        tasks = {found.name: bars.add_task(found.name, total=len(found.answers)) for found in sets}
        result = evaluate(
            grader,
            [found for found in sets if found.answers],
            attacked=[q for q in catalog.values() if not questions or q.id in questions] if attacks else (),
            retest=retest,
            progress=lambda name, done, of: bars.update(tasks[name], completed=done),
        )
    result["usage"] = usage(log)
    show(result, console)
    path = out or settings.data_dir / FOLDER / f"{kind}.json"
    save_result(result, path)
    console.print(f"\nWritten to {path}")


def choose(settings: Settings, kind: str, log: MemoryLog) -> Grader:
    """Return a grader by its kind, its calls of a language model kept in `log`; GraderMissing where it isn't set up."""
    if kind == "coverage":
        return CoverageGrader()
    if kind != "llm":
        raise GraderMissing(f"There is no grader '{kind}'. Choose coverage or llm.")
    host = HostGrader(settings)
    if host.kind != "llm":
        raise GraderMissing("No language model is set up. Set LLM_BASE_URL and LLM_MODEL, or LLM_GGUF.")
    try:
        host.wait_until_ready()
    except GraderAway as away:
        raise GraderMissing(str(away)) from None
    return host.grader(log)


def usage(log: MemoryLog) -> dict[str, float | None] | None:
    """Return what the calls of a language model came to, all sets and attacks together; None without any.

    Cost is None where no price is set (LLM_PRICE_IN, LLM_PRICE_OUT).
    """
    if not log.calls:
        return None
    costs = [call.cost for call in log.calls]
    return {
        "calls": len(log.calls),
        "failed_calls": sum(call.error is not None for call in log.calls),
        "tokens_in": sum(call.tokens_in or 0 for call in log.calls),
        "tokens_out": sum(call.tokens_out or 0 for call in log.calls),
        "seconds": sum(call.seconds for call in log.calls),
        "cost": None if None in costs else sum(cost for cost in costs if cost is not None),
    }


def gather(settings: Settings, folder: Path | None, console: Console) -> list[LabelledSet]:
    """Return every set that is there, and say which outside ones aren't."""
    sets = [pack_set(split) for split in Split]
    store = Store(settings.store_url)
    try:
        store.migrate()
        sets.append(reviewers_set(store, load_catalog()))
    finally:
        store.dispose()
    if folder is None:
        console.print("No outside sets: name their folder with --data or VIVALAB_DATA.", style="dim")
        return sets
    found, missing = outside_sets(folder)
    for sentence in missing:
        console.print(sentence, style="dim")
    return [*sets, *found]


def narrowed(labelled: LabelledSet, questions: Sequence[str]) -> LabelledSet:
    """Return the set with the answers to some questions; all if none are named."""
    if not questions:
        return labelled
    answers = [answer for answer in labelled.answers if answer.question.id in questions]
    return LabelledSet(labelled.name, labelled.about, labelled.used_in_tuning, answers, labelled.bank)
