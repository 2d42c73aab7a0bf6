"""Search: pictures by words, or by a picture, with their scores."""

from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING

import gradio as gr

from sandbox import open_image
from webapp.pages import pictures
from webapp.pages.frame import ACTS, candidate, in_words
from webapp.pages.view import render, view
from webapp.pages.wording import count
from webapp.pictures import sampled
from webapp.services import Services

if TYPE_CHECKING:
    from sandbox.clip import Clip
    from sandbox.labs.search import Gallery, Hit

NAME = "Search"
PATH = "search"
SCENES = 60
SHOWN = 12
IDEAS = ("a large red circle", "two blue shapes on a white background", "a green star", "a black background")
BEGIN = "Describe a picture, or choose one to find others like it. The nearest come first, with their cosines."
CANNOT = (
    "The tiny CLIP knows drawn scenes and short descriptions of them. It has no idea of photographs, of negation, or "
    "of more than the words of its small vocabulary; an upload is found by its colors at best."
)


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    with gr.Row(elem_classes=["bench"]):
        with gr.Column(elem_classes=["stack", "card"]):
            text = gr.Textbox(label="Description", value=IDEAS[0], lines=1, max_lines=3)
            ideas = view(render("ideas", ideas=IDEAS), script=ACTS)
            with gr.Row(elem_classes=["actions"]):
                by_words = gr.Button("Search by words", variant="primary")
            chooser = pictures.build(page, services)
            with gr.Row(elem_classes=["actions"]):
                by_picture = gr.Button("Find pictures like this one")
            view(render("small_print", text=CANNOT))
        with gr.Column(elem_classes=["stack", "card"]):
            found = view(render("search", note=BEGIN, hits=[]))

    @in_words
    def take_search_idea(request: gr.Request, event: gr.EventData) -> str:
        candidate(request)
        return str(event.prompt)

    @in_words
    def search_by_words(words: str, request: gr.Request) -> str:
        user_id = candidate(request)
        return search(services, user_id, lambda gallery: gallery.by_text(words, SHOWN), f"Nearest to “{words.strip()}”")

    @in_words
    def search_by_picture(source: str, request: gr.Request) -> str:
        user_id = candidate(request)
        picture = open_image(services.pictures.get(user_id, source), max_pixels=services.settings.max_image_pixels)
        return search(services, user_id, lambda gallery: gallery.by_picture(picture, SHOWN), "Nearest")

    ideas.select(take_search_idea, None, text, queue=False)
    gr.on([by_words.click, text.submit], search_by_words, text, found, concurrency_limit=4, concurrency_id="search")
    by_picture.click(search_by_picture, chooser.source, found, concurrency_limit=4, concurrency_id="search")


def search(services: Services, user_id: str, ask: "Callable[[Gallery], list[Hit]]", what: str) -> str:
    """Return the nearest of the scenes and one's own uploads, with their scores."""
    from sandbox.clip import load_clip  # with PyTorch, which a page's import shouldn't wait for
    from sandbox.labs.search import Gallery

    clip, limit = load_clip(services.settings), services.settings.max_image_pixels
    own = services.pictures.sources(user_id)
    found = [(hit.score, f"scene:{hit.index}") for hit in ask(scenes(clip))]
    if own:
        opened = [open_image(services.pictures.get(user_id, source), max_pixels=limit) for source in own]
        found += [(hit.score, own[hit.index]) for hit in ask(Gallery(clip, opened))]
    best = sorted(found, key=itemgetter(0), reverse=True)[:SHOWN]
    note = f"{what} among {count(SCENES, 'scene')} and {count(len(own), 'upload')} of yours."
    hits = [{"source": source, "score": score, "share": max(0.0, 100 * score)} for score, source in best]
    return render("search", note=note, hits=hits)


@lru_cache(maxsize=2)
def scenes(clip: "Clip") -> "Gallery":
    """Return the scenes with their vectors."""
    from sandbox.labs.search import Gallery

    return Gallery(clip, [sampled(seed) for seed in range(SCENES)])
