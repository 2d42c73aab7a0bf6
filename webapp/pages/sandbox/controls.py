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
    options: tuple[gr.Number, ...]
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
            gr.Number(None, label="Seed", precision=0, placeholder="drawn"),
            gr.Number(None, label="Longest answer, tokens", precision=0, placeholder="the model's"),
            gr.Number(None, label="Vision layer", precision=0, placeholder="the model's"),
        )

    @in_words
    def take_suggestion(request: gr.Request, event: gr.EventData) -> str:
        candidate(request)
        return str(event.prompt)

    suggestions.select(take_suggestion, None, text, queue=False)
    return Controls(chooser, text, options)


def asked(source: str, prompt: str, *options: float | None) -> Asked:
    """Return what the controls' values ask; BadOption if a number isn't whole."""
    temperature, *whole = options
    if any(number is not None and number != int(number) for number in whole):
        raise BadOption("Seed, length and layer are whole numbers.")
    seed, length, layer = (None if number is None else int(number) for number in whole)
    return Asked(
        prompt=prompt,
        pictures=(source,) if source else (),
        temperature=temperature or 0.0,
        seed=seed,
        max_new_tokens=length,
        feature_layer=layer,
    )


def filled(asked: Asked) -> list[Any]:
    """Return the values that set the controls to a question; of several pictures, the first."""
    source = asked.pictures[0] if asked.pictures else ""
    return [
        *pictures.choice(source),
        asked.prompt,
        asked.temperature,
        asked.seed,
        asked.max_new_tokens,
        asked.feature_layer,
    ]
