"""How good is this grader? Every figure that was measured of it, with what the figures can't tell."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import gradio as gr

from webapp import feedback
from webapp.pages.frame import TIDY, candidate, candidate_bar, page_in_words
from webapp.pages.view import render, view
from webapp.services import Services

PATH = "grader"
FIGURES = (
    ("verdicts", "kappa", "Agreement of verdicts beyond chance (Cohen's kappa)"),
    ("verdicts", "auc", "A met criterion ranks above an unmet one (AUC)"),
    ("totals", "spearman_of_quality", "Rank correlation of score and quality (Spearman)"),
    ("totals", "spearman", "Rank correlation of score and deserved score (Spearman)"),
    ("totals", "weighted_kappa", "Agreement of scores in fifths (quadratic weighted kappa)"),
)
PLAIN = (
    ("verdicts", "agreement", "Share of verdicts that agree", "{:.2f}"),
    ("verdicts", "precision", "Share of 'found' that is right", "{:.2f}"),
    ("verdicts", "recall", "Share of what is there that is found", "{:.2f}"),
    ("verdicts", "cannot_assess", "Share called unclear", "{:.2f}"),
    ("verdicts", "calibration_error", "Expected calibration error", "{:.2f}"),
    ("totals", "mean_error", "Mean error of the score, in points", "{:+.1f}"),
    ("totals", "mean_absolute_error", "Mean absolute error, in points", "{:.1f}"),
    ("totals", "pearson_within_question", "Correlation within a question (Pearson)", "{:.2f}"),
)

COLUMNS = (
    {"key": "kappa", "title": "Kappa", "form": "%.2f"},
    {"key": "agreement", "title": "Agreement", "form": "%.2f"},
    {"key": "order", "title": "Rank correlation", "form": "%.2f"},
    {"key": "error", "title": "Mean error", "form": "%+.0f"},
)


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handler."""
    gr.Navbar(visible=False)
    candidate_bar("/grader", services)
    with gr.Column(elem_classes=["page", "narrow"]):
        shown = view(script=TIDY)

    @page_in_words()
    def load_grader(request: gr.Request) -> str:
        candidate(request)
        return render_results(feedback.load_results(services.settings.data_dir))

    page.load(load_grader, None, shown, queue=False)


def render_results(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page's HTML: every grader that was measured, by its kind."""
    graders = []
    for kind, result in results.items():
        card = feedback.describe(kind)
        graders.append(
            {
                "name": card.name,
                "sentences": [card.is_what, card.cannot_tell],
                "model": result["grader"]["model"],
                "version": result["grader"]["version"],
                "measured_at": result["measured_at"],
                # what the grader wasn't developed on comes first
                "sets": [set_lines(measured) for measured in sorted(result["sets"], key=itemgetter("used_in_tuning"))],
                "families": (result.get("attacks") or {}).get("families", []),
                "succeeded": succeeded(result),
            }
        )
    return render("grader", graders=graders, part_columns=part_columns)


def set_lines(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return one set's figures as the page shows them."""
    figures = []
    for part, name, words in FIGURES:
        found = measured.get(part, {}).get(name)
        if found and found["value"] is not None:
            figures.append({"words": words, **found})
    plain = [
        {"words": words, "value": form.format(measured[part][name])}
        for part, name, words, form in PLAIN
        if measured.get(part, {}).get(name) is not None
    ]
    again = measured.get("retest")
    if again:
        plain.append({"words": "Same verdicts when graded again", "value": f"{100 * again['same_verdicts']:.1f} %"})
    if measured.get("not_graded"):
        plain.append({"words": "Verdicts that could not be had", "value": str(measured["not_graded"])})
    plain.append({"words": "Time an answer, median", "value": f"{measured['milliseconds']['median']:.1f} ms"})
    plain.append(
        {"words": "Quotes that stand in the answer", "value": "{verbatim} of {shown}".format(**measured["quotes"])}
    )
    return {
        "name": measured["name"],
        "about": measured["about"],
        "answers": measured["answers"],
        "used_in_tuning": measured["used_in_tuning"],
        "figures": figures,
        "plain": plain,
        "strata": part_lines(measured["by_stratum"]),
        "questions": part_lines(measured["by_question"]),
        "pairs": [{"words": words, "right": right, "of": of} for words, (right, of) in measured["pairs"].items()],
        "baselines": [
            {"name": name, "spearman": figures["spearman"], "within": figures["pearson_within_question"]}
            for name, figures in measured["baselines"].items()
        ],
    }


def part_lines(parts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a line for each kind of answer, or each question."""
    lines = []
    for name, part in parts.items():
        verdicts, totals = part.get("verdicts", {}), part.get("totals", {})
        order = totals.get("spearman_of_quality") or totals.get("spearman") or {}
        lines.append(
            {
                "name": name,
                "count": part["count"],
                "score": part["mean_score"],
                "kappa": verdicts.get("kappa", {}).get("value"),
                "agreement": verdicts.get("agreement"),
                "order": order.get("value"),
                "error": totals.get("mean_error"),
            }
        )
    return lines


def part_columns(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the columns of which any line has a figure."""
    return [column for column in COLUMNS if any(line[column["key"]] is not None for line in lines)]


def succeeded(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the attacks that ever succeeded, the most successful first."""
    lines = (result.get("attacks") or {}).get("attacks", [])
    return sorted((line for line in lines if line["success"] > 0), key=lambda line: -line["success"])
