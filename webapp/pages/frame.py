"""What every page shares: the head, the bar, and how a handler's errors reach people."""

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gradio as gr

from webapp import identity
from webapp.pages.view import render, view
from webapp.services import Services
from webapp.words import SORRY, words

log = logging.getLogger(__name__)

HEAD = """
<link rel="icon" href="/site/icon.svg">
<link rel="stylesheet" href="/site/vivalab.css">
<meta name="viewport" content="width=device-width, initial-scale=1">
"""
ACTS = "vivalab.acts(element, trigger); vivalab.tidy(element, watch)"
TIDY = "vivalab.tidy(element, watch)"


class Link(NamedTuple):
    """A link in the bar."""

    name: str
    href: str


REVIEW_LINKS = (
    Link("Review", "/review/"),
    Link("Questions", "/review/questions"),
    Link("System", "/review/system"),
    Link("Practice", "/"),
)


def candidate_bar(here: str, services: Services) -> gr.HTML:
    """Return the bar of a candidate's page, with the way to the review for those who may go there."""
    links: tuple[Link, ...] = (Link("Home", "/"), Link("Sandbox", "/sandbox"))
    if services.settings.personal:
        return bar(here, (*links, Link("Review", "/review/")))
    if services.gatekeeper.open:
        links = (*links, Link("For interviewers", "/sign-in"))
    return bar(here, links, note="You practise as a guest in this browser.")


def bar(here: str, links: tuple[Link, ...], *, note: str = "", may_sign_out: bool = False) -> gr.HTML:
    """Return the bar on top of a page; `here` is the address of the page itself."""
    return view(render("bar", links=links, here=here, note=note, may_sign_out=may_sign_out))


def in_words(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Make a handler's known errors words for people, and the others an apology and a line in the log."""
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from handler(*args, **kwargs)
            except Exception as error:
                raise spoken(error) from None

        return stream

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            raise spoken(error) from None

    return call


def page_in_words(outputs: int = 1, *, place: int = 0) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a handler show its error in the page; Gradio shows none of the words of a handler outside its queue.

    Args:
        outputs: How many values the handler returns.
        place: Which of them is the view that takes the sentence.
    """

    def decorate(handler: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(handler)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return handler(*args, **kwargs)
            except Exception as error:
                sentence = render("trouble", sentence=str(spoken(error).message))
                values = [gr.skip()] * outputs
                values[place] = sentence
                return values if outputs > 1 else sentence

        return call

    return decorate


def spoken(error: Exception) -> gr.Error:
    """Return what Gradio shows for an error."""
    if isinstance(error, gr.Error):
        return error
    sentence = words(error)
    if sentence is None:
        log.error("a handler failed", exc_info=error)
    return gr.Error(sentence or SORRY, title="Please note", print_exception=False)


def attempt_in(request: gr.Request) -> str:
    """Return the attempt that the page's address names; empty if none."""
    return str(request.query_params.get("attempt", ""))


candidate = identity.candidate
interviewer = identity.interviewer
visit_of = identity.visit_of
