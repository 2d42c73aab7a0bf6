import numpy as np
import pytest
import torch
from PIL import Image

from sandbox import BadOption, Engine, Request
from sandbox.labs.occlusion import hide, occlude


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    from sandbox import tiny

    return tiny.draw(tiny.compose("white", [tiny.Placed("star", "green", "large", 2)]))


def test_a_score_is_what_plain_transformers_gives(trained_engine: Engine, scene: Image.Image) -> None:
    reply = trained_engine.answer("What color is the star?", [scene])
    got = trained_engine.score([Request("What color is the star?", [scene])], reply.tokens)[0]
    checkpoint = trained_engine.checkpoint
    inputs = checkpoint.processor(
        images=[scene], text="USER: <image>\nWhat color is the star? ASSISTANT:", return_tensors="pt"
    )
    prompt = inputs["input_ids"].shape[1]
    whole = torch.cat([inputs["input_ids"], torch.tensor([reply.tokens])], 1)
    with torch.inference_mode():
        logits = checkpoint.model(input_ids=whole, pixel_values=inputs["pixel_values"]).logits[0, prompt - 1 : -1]
    expected = torch.log_softmax(logits.float(), -1).gather(-1, torch.tensor(reply.tokens)[:, None])[:, 0]
    np.testing.assert_allclose(got.log_probabilities, expected.numpy(), atol=1e-4)
    assert got.is_greedy


def test_a_score_does_not_depend_on_its_neighbours_in_the_batch(trained_engine: Engine, scene: Image.Image) -> None:
    short, long = Request("What color?", [scene]), Request("What color is the star at the top right?", [scene])
    tokens = trained_engine.answer(short.prompt, [scene]).tokens
    together = trained_engine.score([short, long], tokens)
    for request, both in zip((short, long), together, strict=True):
        np.testing.assert_allclose(
            trained_engine.score([request], tokens)[0].log_probabilities, both.log_probabilities, atol=1e-4
        )


def test_an_answer_without_tokens_has_no_score(trained_engine: Engine) -> None:
    with pytest.raises(BadOption, match="no tokens"):
        trained_engine.score([Request("Hello")], [])


def test_hiding_the_thing_that_is_asked_about_costs_most(trained_engine: Engine, scene: Image.Image) -> None:
    request = Request("What color is the star?", [scene])
    reply = trained_engine.answer_many([request])[0]
    maps = list(occlude(trained_engine, request, reply.trace, reply.tokens, blocks=4))
    assert [found.done for found in maps] == [0, 8, 16]
    top, right = np.unravel_index(np.argmax(maps[-1].drops), (4, 4))
    assert top <= 1
    assert right >= 2
    assert not maps[-1].changes[3, 0], "a far corner changes nothing"


def test_a_hidden_block_has_the_mean_color_and_the_rest_stays() -> None:
    pixels = np.ones((2, 3, 8, 8), np.float32)
    hidden = hide(pixels, 1, (0, 1), 4)
    assert hidden[1, :, :4, 4:].sum() == 0
    assert hidden.sum() == pixels.sum() - 3 * 16
    assert pixels.sum() == 2 * 3 * 64
