"""A result as text, for the terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def show(result: Mapping[str, Any], console: Console) -> None:
    """Print every figure of a result."""
    grader = result["grader"]
    console.print(
        f"\n[bold]{grader['kind']}[/] {grader['model']}, version {grader['version']}, {result['measured_at']}"
    )
    for measured in result["sets"]:
        console.print(
            f"\n[bold]{measured['name']}[/]: {measured['answers']} answers, {measured['questions']} questions"
        )
        console.print(measured["about"], style="dim")
        console.print(_figures(measured))
        console.print(_parts("stratum", measured["by_stratum"]))
        console.print(_parts("question", measured["by_question"]))
        if measured["pairs"]:
            console.print("; ".join(f"{name}: {n} of {of}" for name, (n, of) in measured["pairs"].items()))
        if measured["baselines"]:
            console.print(_baselines(measured["baselines"]))
        console.print(", ".join(_rest(measured)))
    if result.get("usage"):
        used = (f"{name.replace('_', ' ')} {number(value, '.4g')}" for name, value in result["usage"].items())
        console.print(f"\nLanguage model: {', '.join(used)}")
    if result.get("attacks"):
        console.print(_attacks("attacks by family", result["attacks"]["families"]))
        console.print(_attacks("attacks that ever succeeded", _succeeded(result["attacks"]["attacks"])))


def number(value: float | None, form: str = ".3f") -> str:
    """Return a figure, or a dash where there is none."""
    return "–" if value is None else format(value, form)


def interval(figure: Mapping[str, float | None] | None) -> str:
    """Return a figure with its interval."""
    if figure is None or figure["value"] is None:
        return "–"
    if figure["low"] is None:
        return number(figure["value"])
    return f"{number(figure['value'])} [{number(figure['low'])}, {number(figure['high'])}]"


def _figures(measured: Mapping[str, Any]) -> Table:
    table = Table("figure", "value", box=None, pad_edge=False)
    for part in ("totals", "verdicts"):
        for name, value in measured.get(part, {}).items():
            shown = interval(value) if isinstance(value, Mapping) else number(value, ".4g")
            table.add_row(f"{part}: {name.replace('_', ' ')}", shown)
    return table


def _parts(what: str, parts: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(what, "answers", "mean score", "kappa", "AUC", "agreement", "Spearman", "mean error", box=None)
    for name, part in parts.items():
        verdicts, totals = part.get("verdicts", {}), part.get("totals", {})
        table.add_row(
            name,
            str(part["count"]),
            number(part["mean_score"], ".1f"),
            interval(verdicts.get("kappa")),
            interval(verdicts.get("auc")),
            number(verdicts.get("agreement")),
            interval(totals.get("spearman") or totals.get("spearman_of_quality")),
            number(totals.get("mean_error"), "+.1f"),
        )
    return table


def _baselines(baselines: Mapping[str, Mapping[str, float | None]]) -> Table:
    names = list(next(iter(baselines.values())))
    table = Table("baseline", *(name.replace("_", " ") for name in names), box=None)
    for name, figures in baselines.items():
        table.add_row(name, *(number(figures[each]) for each in names))
    return table


def _rest(measured: Mapping[str, Any]) -> Iterable[str]:
    yield f"{measured['milliseconds']['median']:.1f} ms an answer (95 % under {measured['milliseconds']['p95']:.1f})"
    yield f"{measured['quotes']['verbatim']} of {measured['quotes']['shown']} quotes verbatim"
    yield f"stopped by the gate: {measured['gates'] or 'none'}"
    if again := measured["retest"]:
        yield f"same verdicts again: {100 * again['same_verdicts']:.1f} %"
    if measured["not_graded"]:
        yield f"{measured['not_graded']} verdicts not graded"


def _attacks(title: str, lines: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(title, "tries", "mean shift", "highest", "success", "false quotes", box=None)
    for line in lines:
        table.add_row(
            f"{line['family']}: {line['name']}" if "name" in line else line["family"],
            str(line["tries"]),
            number(line["mean_shift"], "+.1f"),
            number(line["highest"], "+.1f"),
            f"{100 * line['success']:.0f} %",
            str(line["false_quotes"]),
        )
    return table


def _succeeded(lines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted((line for line in lines if line["success"] > 0), key=lambda line: -line["success"])
