"""The controls that several pages of the sandbox share: picture, prompt, and how to answer."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from sandbox import BadOption
from webapp.pages import pictures
from webapp.pages.frame import ACTS, candidate, in_words
from webapp.pages.live import IDEAS
from webapp.pages.view import render, view
from webapp.runs import Asked
from webapp.services import Services


@dataclass(frozen=True)
class Controls:
    """The components of a question to the model."""

    chooser: pictures.Chooser
    prompt: gr.Textbox
    options: tuple[Any, ...]
    """Temperature, seed, longest answer and vision layer, in this order."""

    @property
    def inputs(self) -> list[Any]:
        """What a handler reads; `asked(*values)` makes an `Asked` of the values."""
        return [self.chooser.source, self.prompt, *self.options]

    @property
    def outputs(self) -> list[Any]:
        """What a handler writes that sets the controls; `filled(asked)` gives the values."""
        return [*self.chooser.outputs, self.prompt, *self.options]


def build(page: gr.Blocks, services: Services, *, prompt: str = IDEAS[0], ideas: tuple[str, ...] = IDEAS) -> Controls:
    """Lay out picture, prompt with ideas, and the folded options."""
    chooser = pictures.build(page, services)
    text = gr.Textbox(label="Prompt", value=prompt, lines=2, max_lines=6)
    suggestions = view(render("ideas", ideas=ideas), script=ACTS)
    with gr.Accordion("Options", open=False, elem_classes=["fold"]), gr.Row(elem_classes=["options"]):
        options = (
            gr.Number(0, label="Temperature", minimum=0, maximum=2, step=0.1),
            whole_number("Seed", placeholder="drawn"),
            whole_number("Longest answer, tokens"),
            whole_number("Vision layer"),
        )

    @in_words
    def take_suggestion(request: gr.Request, event: gr.EventData) -> str:
        candidate(request)
        return str(event.prompt)

    suggestions.select(take_suggestion, None, text, queue=False)
    return Controls(chooser, text, options)


def whole_number(label: str, value: int | None = None, placeholder: str = "the model's") -> gr.Textbox:
    """Return a field for a whole number or nothing; Gradio's own field makes 0 of nothing."""
    return gr.Textbox(text_of(value), label=label, placeholder=placeholder, max_lines=1)


def text_of(number: int | None) -> str:
    """Return what stands in such a field."""
    return "" if number is None else str(number)


def number_in(text: str, label: str) -> int | None:
    """Return the number in such a field, None for nothing; BadOption if it is anything else."""
    try:
        return int(text.strip().replace("−", "-")) if text and text.strip() else None
    except ValueError:
        raise BadOption(f"{label} is a whole number, or empty; {text!r} was given.") from None


def asked(source: str, prompt: str, temperature: float | None, seed: str, length: str, layer: str) -> Asked:
    """Return what the controls' values ask; BadOption if a number isn't whole."""
    return Asked(
        prompt=prompt,
        pictures=(source,) if source else (),
        temperature=temperature or 0.0,
        seed=number_in(seed, "The seed"),
        max_new_tokens=number_in(length, "The longest answer"),
        feature_layer=number_in(layer, "The vision layer"),
    )


def filled(asked: Asked) -> list[Any]:
    """Return the values that set the controls to a question; of several pictures, the first."""
    source = asked.pictures[0] if asked.pictures else ""
    return [
        *pictures.choice(source),
        asked.prompt,
        asked.temperature,
        text_of(asked.seed),
        text_of(asked.max_new_tokens),
        text_of(asked.feature_layer),
    ]
