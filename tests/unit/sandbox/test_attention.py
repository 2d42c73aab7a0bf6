"""What an answer's tokens looked at can be asked for afterwards."""

import numpy as np
import pytest

from sandbox import BadOption, Request


@pytest.fixture(scope="module")
def asked(pictures):
    return Request("Which is larger?", pictures[:2], max_new_tokens=6)


def test_weights_are_those_of_one_pass_over_prompt_and_answer(engine, asked):
    import torch

    reply = engine.answer_many([Request(asked.prompt, asked.images, max_new_tokens=6, keep=True)])[0]
    seen = engine.attention(asked, reply, images_only=False)
    language, config = engine.checkpoint.model.model.language_model, engine.checkpoint.model.config.text_config
    merged, answer = reply.trace.arrays["merge"], np.asarray(reply.tokens[:-1])
    whole = torch.from_numpy(np.concatenate([merged, engine.checkpoint.embed(answer)]))[None]
    usual, config._attn_implementation = config._attn_implementation, "eager"
    with torch.inference_mode():
        layers = language(inputs_embeds=whole, output_attentions=True).attentions
    config._attn_implementation = usual
    length = len(merged)
    assert seen.shape == (2, 4, 6, length)
    for layer, weights in enumerate(layers):
        np.testing.assert_allclose(seen[layer], weights[0, :, length - 1 :, :length].numpy(), atol=1e-5)


def test_only_the_image_tokens_are_given_unless_all_are_asked_for(engine, asked):
    reply = engine.answer_many([asked])[0]
    everything = engine.attention(asked, reply, images_only=False)
    images = [part for part in reply.trace.tokens if part.kind == "image"]
    columns = np.concatenate([np.arange(part.start, part.start + part.count) for part in images])
    seen = engine.attention(asked, reply)
    assert seen.shape == (2, 4, 6, 32)
    np.testing.assert_array_equal(seen, everything[..., columns])
    np.testing.assert_allclose(everything[:, :, 0].sum(-1), 1, rtol=1e-5)


def test_layers_can_be_chosen(engine, asked):
    reply = engine.answer_many([asked])[0]
    np.testing.assert_array_equal(engine.attention(asked, reply, layers=[-1])[0], engine.attention(asked, reply)[1])
    with pytest.raises(BadOption, match="layers 0 to 1; 7 was given"):
        engine.attention(asked, reply, layers=[7])


def test_the_model_computes_as_before_afterwards(engine, asked):
    reply = engine.answer_many([asked])[0]
    engine.attention(asked, reply)
    assert engine.checkpoint.model.config.text_config._attn_implementation == "sdpa"
    assert engine.answer_many([asked])[0].tokens == reply.tokens


def test_a_prompt_without_pictures_has_nothing_to_look_at(engine):
    asked = Request("Why?", max_new_tokens=2)
    reply = engine.answer_many([asked])[0]
    with pytest.raises(BadOption, match="no picture to look at"):
        engine.attention(asked, reply)
    assert engine.attention(asked, reply, images_only=False).shape[2] == 2


def test_more_than_fits_is_refused(engine, asked, monkeypatch):
    monkeypatch.setattr("sandbox.attention.MAX_BYTES", 1000)
    with pytest.raises(BadOption, match="Choose fewer layers"):
        engine.attention(asked, engine.answer_many([asked])[0])


def test_one_token_of_the_answer_can_be_chosen(engine, asked):
    reply = engine.answer_many([asked])[0]
    np.testing.assert_allclose(
        engine.attention(asked, reply, token=2), engine.attention(asked, reply)[:, :, 2], atol=1e-6
    )
    with pytest.raises(BadOption, match="tokens 0 to 5; 6 was given"):
        engine.attention(asked, reply, token=6)


def test_looking_at_attention_leaves_the_numbers_of_others_alone(engine, asked, pictures):
    from concurrent.futures import ThreadPoolExecutor

    requests = [Request(f"What is {number}?", pictures[:1], max_new_tokens=1, cache=False) for number in range(40)]
    alone = [engine.answer_many([request])[0].trace.receipt for request in requests]
    reply = engine.answer_many([asked])[0]
    with ThreadPoolExecutor(5) as pool:
        looks = [pool.submit(engine.attention, asked, reply) for _ in range(40)]
        others = list(pool.map(lambda request: engine.answer_many([request])[0].trace.receipt, requests))
        assert all(look.result().size for look in looks)
    assert others == alone
