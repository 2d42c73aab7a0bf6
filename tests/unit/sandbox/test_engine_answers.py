"""Answers are the model's own: token for token those of transformers' `generate`."""

import numpy as np
import pytest
from random_llava import clip_tower, save_random_llava, siglip_tower

from sandbox import BadOption, PromptTooLong, Request, load_engine

FAMILIES = {
    "clip and llama": {"tower": clip_tower, "kind": "llama", "layer": -2, "strategy": "default"},
    "siglip and qwen2, all tokens": {"tower": siglip_tower, "kind": "qwen2", "layer": -1, "strategy": "full"},
    "two layers side by side, mistral": {
        "tower": clip_tower,
        "kind": "mistral",
        "layer": [-3, -1],
        "strategy": "default",
    },
}
PROMPTS = [(0, "What color is the circle?"), (1, "What is this?"), (2, "Which has more?"), (5, "Count."), (10, "Why?")]


def generated(engine, prompt, images, length):
    """What transformers' own processor and `generate` make of it."""
    processor, model = engine.checkpoint.processor, engine.checkpoint.model
    text = "USER: " + "<image>\n" * len(images) + prompt + " ASSISTANT:"
    inputs = processor(images=images or None, text=text, return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=length, do_sample=False)
    return tuple(output[0, inputs["input_ids"].shape[1] :].tolist())


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_are_those_of_generate(family, tmp_path, settings, pictures):
    options = FAMILIES[family]
    folder = save_random_llava(tmp_path, **{**options, "tower": options["tower"]()})
    engine = load_engine(folder, settings=settings)
    answers = set()
    for count, prompt in PROMPTS:
        reply = engine.answer(prompt, pictures[:count], max_new_tokens=24)
        assert reply.tokens == generated(engine, prompt, pictures[:count], 24)
        answers.add(reply.tokens)
    assert len(answers) == len(PROMPTS)


def test_placeholders_put_the_pictures_where_they_stand(engine, pictures):
    prompt = "First <image> then <image> which is larger?"
    processor, model = engine.checkpoint.processor, engine.checkpoint.model
    inputs = processor(images=pictures[:2], text=f"USER: {prompt} ASSISTANT:", return_tensors="pt")
    expected = model.generate(**inputs, max_new_tokens=16, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    reply = engine.answer(prompt, pictures[:2], max_new_tokens=16)
    assert reply.tokens == tuple(expected.tolist())
    assert [segment.kind for segment in reply.trace.tokens] == ["text", "image", "text", "image", "text"]


def test_a_batch_gives_the_tokens_of_one_by_one(engine, pictures):
    requests = [Request(prompt, pictures[:count], max_new_tokens=8 + 4 * count) for count, prompt in PROMPTS]
    alone = [engine.answer_many([request])[0].tokens for request in requests]
    together = engine.answer_many(requests)
    assert [reply.tokens for reply in together] == alone
    assert max(reply.trace.batch for reply in together) > 1


def test_more_requests_than_there_are_slots_are_answered_in_turns(engine, pictures):
    requests = [Request(f"What is {n}?", [pictures[n % 10]], max_new_tokens=30 - n) for n in range(20)]
    replies = engine.answer_many(requests)
    assert max(reply.trace.batch for reply in replies) <= engine.settings.sandbox_slots
    assert [reply.tokens for reply in replies] == [engine.answer_many([request])[0].tokens for request in requests]


def test_no_requests_give_no_replies(engine):
    assert engine.answer_many([]) == []


def test_the_same_picture_gives_the_same_features_whoever_shares_the_batch(engine, pictures):
    seen = []

    def keep(features):
        seen.append(features)
        return list(features)

    request = Request("What?", [pictures[3]], max_new_tokens=1, replace={"reduce": keep})
    engine.answer_many([request])
    engine.answer_many([Request("Why?", pictures[:4], max_new_tokens=1), request])
    assert np.array_equal(seen[0], seen[1])


def test_a_seed_repeats_a_drawn_answer(engine, pictures):
    options = {"temperature": 1.0, "max_new_tokens": 16}
    first = engine.answer("What?", pictures[:1], seed=5, **options)
    assert engine.answer("What?", pictures[:1], seed=5, **options).tokens == first.tokens
    assert engine.answer("What?", pictures[:1], seed=6, **options).tokens != first.tokens
    assert first.trace.seed == 5


def test_an_answer_without_seed_can_be_repeated_from_its_trace(engine, pictures):
    options = {"temperature": 1.0, "max_new_tokens": 16}
    drawn = engine.answer("What?", pictures[:1], **options)
    assert engine.answer("What?", pictures[:1], seed=drawn.trace.seed, **options).tokens == drawn.tokens


def test_drawn_tokens_dont_depend_on_the_batch(engine, pictures):
    request = Request("What?", pictures[:1], temperature=1.0, seed=5, max_new_tokens=16)
    company = Request("Which of these has more circles?", pictures[:3], temperature=0.7, seed=9)
    assert engine.answer_many([company, request])[1].tokens == engine.answer_many([request])[0].tokens


def test_an_answer_ends_at_its_limit(engine, pictures):
    reply = engine.answer("What?", pictures[:1], max_new_tokens=3)
    assert len(reply.tokens) == 3
    assert reply.trace.finish == "length"


def test_an_answer_ends_where_the_context_ends(engine):
    reply = engine.answer("a" * 290, max_new_tokens=200)
    assert reply.trace.prompt_tokens + reply.trace.new_tokens == engine.checkpoint.context
    assert reply.trace.finish == "length"


def test_a_prompt_that_leaves_no_room_is_refused(engine, pictures):
    with pytest.raises(PromptTooLong, match=r"takes 3\d\d tokens with its pictures; the model holds 320"):
        engine.answer("a" * 200, pictures[:8])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_new_tokens": 0}, "at least 1 token"),
        ({"max_new_tokens": 513}, "at most 512 tokens; 513 were asked for"),
        ({"temperature": -1.0}, "between 0 and 2"),
        ({"temperature": float("nan")}, "between 0 and 2"),
        ({"seed": -1}, "A seed is between"),
        ({"feature_layer": 7}, "layers 0 to 3"),
        ({"replace": {"resize": list}}, "There is no stage 'resize'"),
    ],
)
def test_options_out_of_range_are_refused_in_words(engine, pictures, options, sentence):
    with pytest.raises(BadOption, match=sentence):
        engine.answer("What?", pictures[:1], **options)


@pytest.mark.parametrize("layer", [-4, -1, 0, 1, 3])
def test_every_feature_layer_can_be_chosen(engine, pictures, layer):
    import torch

    hidden = []
    engine.answer(
        "What?",
        pictures[:1],
        feature_layer=layer,
        max_new_tokens=1,
        replace={"select": lambda h: hidden.append(h) or h[:, 1:]},
    )
    pixels = engine.checkpoint.processor.image_processor(images=pictures[:1], return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        states = engine.checkpoint.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    assert len(states) == 4
    np.testing.assert_allclose(hidden[0], states[layer].numpy(), atol=1e-5)
