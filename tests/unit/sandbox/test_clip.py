"""The CLIP that ships, on scenes drawn afresh."""

from random import Random

import numpy as np
import pytest

from sandbox import EngineFailed, PromptTooLong, SandboxSettings
from sandbox.clip import load_clip
from sandbox.tiny import caption, draw, sample_scene


@pytest.fixture(scope="module")
def clip(settings):
    return load_clip(settings)


@pytest.fixture(scope="module")
def scenes():
    return [sample_scene(Random(f"clip {n}"), count=2) for n in range(20)]


def test_vectors_are_of_length_one(clip, scenes):
    vectors = np.concatenate([clip.embed_images([draw(s) for s in scenes]), clip.embed_texts(["a red circle"])])
    assert vectors.shape == (21, clip.dim)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_description_is_nearest_to_its_picture(clip, scenes):
    pictures, texts = clip.embed_images([draw(s) for s in scenes]), clip.embed_texts([caption(s) for s in scenes])
    assert (texts @ pictures.T).argmax(axis=1).tolist() == list(range(20))


def test_a_text_alone_and_in_a_batch_has_the_same_vector(clip):
    texts = ["a red circle", "two blue squares on a white background", "a star"]
    together = clip.embed_texts(texts)
    alone = np.concatenate([clip.embed_texts([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)


def test_nothing_has_no_vectors(clip):
    assert clip.embed_texts([]).shape == (0, clip.dim)


def test_a_text_that_is_too_long_is_refused_and_not_cut(clip):
    with pytest.raises(PromptTooLong, match="tokens; the text tower of tiny-clip holds"):
        clip.embed_texts(["a red circle " * 60])


def test_the_same_clip_is_loaded_once(clip, settings):
    assert load_clip(settings) is clip


def test_a_clip_that_is_not_there_is_said_in_words(tmp_path):
    with pytest.raises(EngineFailed, match="SANDBOX_CLIP"):
        load_clip(SandboxSettings(_env_file=None, sandbox_clip=str(tmp_path)))
