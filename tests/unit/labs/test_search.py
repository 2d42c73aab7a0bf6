from random import Random

import pytest

from sandbox import SandboxSettings
from sandbox.clip import load_clip
from sandbox.labs.search import Gallery, NothingToSearch
from sandbox.tiny import caption, draw, sample_scene


@pytest.fixture(scope="module")
def scenes():
    return [sample_scene(Random(f"gallery {n}"), count=2) for n in range(12)]


@pytest.fixture(scope="module")
def gallery(scenes):
    return Gallery(load_clip(SandboxSettings(_env_file=None)), [draw(scene) for scene in scenes])


def test_a_description_finds_its_picture_first(gallery, scenes):
    for index in (0, 5, 11):
        assert gallery.by_text(caption(scenes[index]))[0].index == index


def test_a_picture_finds_itself_first_with_a_cosine_of_one(gallery):
    best = gallery.by_picture(gallery.pictures[4])[0]
    assert (best.index, best.score) == (4, pytest.approx(1, abs=1e-5))


def test_hits_come_best_first_and_as_many_as_asked_for(gallery):
    hits = gallery.by_text("a red circle", count=5)
    scores = [hit.score for hit in hits]
    assert len(hits) == 5
    assert scores == sorted(scores, reverse=True)


def test_an_empty_gallery_and_a_blank_search_are_said_in_words(gallery):
    with pytest.raises(NothingToSearch, match="no pictures"):
        Gallery(load_clip(SandboxSettings(_env_file=None)), [])
    with pytest.raises(NothingToSearch, match="Write what"):
        gallery.by_text("  ")
