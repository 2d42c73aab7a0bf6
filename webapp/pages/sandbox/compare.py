"""Two settings of anything side by side: both answers, and how far apart the stages come."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr
from pydantic import TypeAdapter, ValidationError

from sandbox import BadOption, Reply
from sandbox.labs.compare import Comparison, Difference, Variant, compare
from sandbox.labs.preprocessing import FITS, NORMALIZATIONS
from webapp.pages import pictures
from webapp.pages.frame import ACTS, candidate, in_words
from webapp.pages.kept import difference
from webapp.pages.sandbox.controls import number_in, text_of, whole_number
from webapp.pages.trace import figures
from webapp.pages.trace import pictures as processed
from webapp.pages.view import render, view
from webapp.pictures import sources_of
from webapp.services import MODEL_WAIT_SECONDS, Services

NAME = "Compare"
PATH = "compare"
PROMPT = "Describe the image."
LABELS = ("A", "B")
PRESETS: dict[str, tuple[str, Variant, Variant]] = {
    "Normalized or not": ("scene:11", Variant(PROMPT), Variant(PROMPT, normalization="none")),
    "CLIP's or ImageNet's figures": ("scene:11", Variant(PROMPT), Variant(PROMPT, normalization="imagenet")),
    "Half the resolution": ("scene:11", Variant(PROMPT), Variant(PROMPT, side=56)),
    "Crop or pad": ("wide:11", Variant(PROMPT, fit="crop"), Variant(PROMPT, fit="pad")),
    "Crop or squash": ("wide:11", Variant(PROMPT, fit="crop"), Variant(PROMPT, fit="squash")),
    "Layer −2 or −1": ("scene:11", Variant(PROMPT, feature_layer=-2), Variant(PROMPT, feature_layer=-1)),
    "Another wording": ("scene:11", Variant(PROMPT), Variant("What does the text say?")),
    "Two seeds": (
        "scene:11",
        Variant(PROMPT, temperature=2.0, seed=1),
        Variant(PROMPT, temperature=2.0, seed=2),
    ),
}
FIRST = "Normalized or not"
CANNOT = (
    "The tiny model was trained at 112 pixels with CLIP's normalization and layer −2 alone, so it suffers from changes "
    "that a large model may stand; the direction of a difference carries over better than its size."
)
FIELDS = 7
OWN = ("the model's", "")

variants: TypeAdapter[Variant] = TypeAdapter(Variant)


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    start = PRESETS[FIRST]
    with gr.Row(elem_classes=["bench"]):
        with gr.Column(elem_classes=["stack", "card"]):
            chooser = pictures.build(page, services, first=start[0])
        with gr.Column(elem_classes=["stack", "card"]):
            presets = view(render("presets", presets=list(PRESETS)), script=ACTS)
            with gr.Row(elem_classes=["two"]):
                sides = [side(label, variant) for label, variant in zip(LABELS, start[1:], strict=True)]
            with gr.Row(elem_classes=["actions"]):
                button = gr.Button("Compare", variant="primary")
            view(render("small_print", text=CANNOT))
    shown = view()
    inputs = [chooser.source, *sides[0], *sides[1]]
    controls = [*chooser.outputs, *sides[0], *sides[1]]

    @in_words
    def open_comparison(request: gr.Request) -> list[Any]:
        user_id, run_id = candidate(request), str(request.query_params.get("run", ""))
        if not run_id:
            return [gr.skip()] * len(controls)
        settings = services.store.run(user_id=user_id, run_id=run_id).settings
        found = sources_of(settings)
        both = (variant_of(settings.get("first")), variant_of(settings.get("second")))
        return [*pictures.choice(found[0] if found else ""), *values_of(both[0]), *values_of(both[1])]

    @in_words
    def take_preset(request: gr.Request, event: gr.EventData) -> list[Any]:
        candidate(request)
        source, first, second = PRESETS.get(str(event.name), start)
        return [*pictures.choice(source), *values_of(first), *values_of(second)]

    @in_words
    def compare_settings(request: gr.Request, source: str, *values: Any) -> Iterator[str]:
        user_id = services.known_candidate(candidate(request))
        first, second = variant_from(values[:FIELDS]), variant_from(values[FIELDS:])
        sources = [source] if source else []
        images = services.pictures.get_all(user_id, sources)
        yield render("engine", tone="dim", sentence=services.engine.progress)
        found = compare(services.engine.get(timeout=MODEL_WAIT_SECONDS), first, second, images)
        settings = {
            "prompt": first.prompt,
            "pictures": sources,
            "first": variants.dump_python(first),
            "second": variants.dump_python(second),
        }
        run = services.keep_run(user_id=user_id, kind=PATH, settings=settings, figures=kept(found))
        yield render_comparison(found, run.id)

    page.load(open_comparison, None, controls, queue=False)
    presets.select(take_preset, None, controls, queue=False)
    button.click(compare_settings, inputs, shown, concurrency_limit=8, concurrency_id="compare")


def side(label: str, variant: Variant) -> list[Any]:
    """Lay out one side's controls, `FIELDS` of them; `values_of` gives their values."""
    with gr.Column(elem_classes=["stack"]):
        view(f"<h3>{label}</h3>")
        components = [gr.Textbox(variant.prompt, label=f"Prompt {label}", lines=2, max_lines=4)]
        with gr.Row(elem_classes=["options"]):
            components += [
                whole_number("Resolution, pixels", variant.side),
                gr.Dropdown([OWN, *FITS], value=variant.fit or "", label="Fit"),
                gr.Dropdown(
                    [("the model's", ""), *NORMALIZATIONS], value=variant.normalization or "", label="Normalization"
                ),
                whole_number("Vision layer", variant.feature_layer),
                gr.Number(variant.temperature, label="Temperature", minimum=0, maximum=2, step=0.1),
                whole_number("Seed", variant.seed, placeholder="drawn"),
            ]
    return components


def values_of(variant: Variant) -> list[Any]:
    """Return the values of one side's controls."""
    return [
        variant.prompt,
        text_of(variant.side),
        variant.fit or "",
        variant.normalization or "",
        text_of(variant.feature_layer),
        variant.temperature,
        text_of(variant.seed),
    ]


def variant_from(values: tuple[Any, ...]) -> Variant:
    """Return what one side's controls say; BadOption if a value is of another kind."""
    prompt, side, fit, normalization, layer, temperature, seed = values
    return variant_of(
        {
            "prompt": prompt,
            "side": number_in(side, "The resolution"),
            "fit": fit or None,
            "normalization": normalization or None,
            "feature_layer": number_in(layer, "The vision layer"),
            "temperature": temperature or 0.0,
            "seed": number_in(seed, "The seed"),
        }
    )


def variant_of(settings: Any) -> Variant:
    """Return a variant from plain values; BadOption if they are none."""
    try:
        return variants.validate_python(settings)
    except ValidationError as error:
        raise BadOption("These settings can't be compared: one is not of the kind that is asked for.") from error


def kept(found: Comparison) -> dict[str, Any]:
    """Return a comparison for a run's figures."""
    return {
        "text": "\n".join(f"{label}: {reply.text}" for label, reply in zip(LABELS, found.replies, strict=True)),
        "same_answer": "yes" if found.same_answer else "no",
        "first_difference": found.first_difference or "none",
        "differences": plain_differences(found.differences),
        "traces": [reply.trace.summary() for reply in found.replies],
    }


def plain_differences(found: Sequence[Difference]) -> list[dict[str, Any]]:
    """Return how far apart the stages come, for a run's figures."""
    return [
        {
            "stage": step.stage,
            "shapes": [list(each) for each in step.shapes],
            "max_abs": step.max_abs,
            "mean_abs": step.mean_abs,
            "cosine": step.cosine,
            "unequal": step.unequal,
        }
        for step in found
    ]


def render_comparison(found: Comparison, run_id: str) -> str:
    """Return the result's HTML."""
    first = found.first_difference
    until = f"Nothing differs before {first}." if first else "Every value of every stage is equal."
    return render(
        "compare",
        verdict=f"{'The same answer' if found.same_answer else 'Two answers'}. {until}",
        sides=[answer_side(label, reply) for label, reply in zip(LABELS, found.replies, strict=True)],
        differences=[difference(each) for each in kept(found)["differences"]],
        run_id=run_id,
    )


def answer_side(label: str, reply: Reply) -> dict[str, Any]:
    """Return one side's answer."""
    return {"label": label, "text": reply.text, "figures": figures(reply), "pictures": processed(reply.trace)}
