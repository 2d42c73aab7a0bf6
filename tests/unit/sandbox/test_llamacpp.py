"""llama.cpp itself decodes plans of batches with the shipped model."""

import numpy as np
import pytest
import torch

pytest.importorskip("xllamacpp", reason="the optional extra llamacpp is not installed")
pytest.importorskip("gguf", reason="the optional extra llamacpp is not installed")

from random import Random

from sandbox import load_engine
from sandbox.llamacpp import LlamaCpp, LlamaCppFailed
from sandbox.stages import encode, preprocess, project, select
from sandbox.stages import prompt as writing
from sandbox.tiny import draw, sample_scene

# llama.cpp computes some steps in half precision; logits here are of the order of 10
CLOSE = 0.05


@pytest.fixture(scope="module")
def checkpoint():
    return load_engine(device="cpu").checkpoint


@pytest.fixture(scope="module")
def llama(checkpoint):
    with LlamaCpp(checkpoint) as opened:
        yield opened


@pytest.fixture(scope="module")
def prompt(checkpoint):
    """Token ids before and after a picture, and the picture's projected features, float32 (rows, d)."""
    picture = draw(sample_scene(Random(5)))
    pixels = preprocess.preprocess([picture], checkpoint.processor.image_processor)
    hidden = encode.encode(pixels, checkpoint, checkpoint.feature_layer)
    (rows,) = project.project(select.select(hidden, checkpoint.strategy), checkpoint)
    ids = writing.prompt("Describe the image.", [len(rows)], checkpoint)
    first = int(np.flatnonzero(ids == checkpoint.image_token)[0])
    return ids[:first], rows, ids[first + len(rows) :]


def plan_of(prompt, n_batch=512, shift=0):
    """Split a prompt into batches, each of tokens or of embeddings."""
    before, rows, after = prompt
    batches, position = [], shift
    for key, values in (("token", before), ("embd", rows), ("token", after)):
        for start in range(0, len(values), n_batch):
            part = values[start : start + n_batch]
            logits = np.zeros(len(part), bool)
            batches.append({key: part, "pos": np.arange(position, position + len(part)), "logits": logits})
            position += len(part)
    batches[-1]["logits"][-1] = True
    return batches


@torch.inference_mode()
def reference(checkpoint, prompt, limit):
    """Return logits and greedy tokens of transformers from the same embeddings."""
    before, rows, after = prompt
    embedded = np.concatenate([checkpoint.embed(before), rows, checkpoint.embed(after)])[None]
    tokens = []
    model, sequence = checkpoint.model, torch.tensor(embedded)
    logits = None
    while len(tokens) < limit:
        last = model.lm_head(model.model.language_model(inputs_embeds=sequence).last_hidden_state[:, -1])[0]
        logits = last.numpy() if logits is None else logits
        tokens.append(int(last.argmax()))
        if tokens[-1] in checkpoint.end_tokens:
            break
        sequence = torch.cat([sequence, model.get_input_embeddings()(torch.tensor([[tokens[-1]]]))], dim=1)
    return logits, tokens


def test_its_answer_to_a_picture_is_the_one_of_transformers(llama, checkpoint, prompt):
    logits, tokens = llama.run(plan_of(prompt), limit=64)
    expected, expected_tokens = reference(checkpoint, prompt, 64)
    assert np.abs(logits - expected).max() < CLOSE
    assert tokens == expected_tokens
    assert tokens[-1] in checkpoint.end_tokens


def test_how_the_prompt_is_cut_into_batches_does_not_change_the_answer(llama, prompt):
    whole, tokens = llama.run(plan_of(prompt), limit=8)
    cut, cut_tokens = llama.run(plan_of(prompt, n_batch=7), limit=8)
    assert np.abs(whole - cut).max() < CLOSE
    assert tokens == cut_tokens


def test_a_run_starts_from_an_empty_cache(llama, prompt):
    first, _ = llama.run(plan_of(prompt))
    again, _ = llama.run(plan_of(prompt))
    assert np.array_equal(first, again)


def test_rows_in_the_wrong_order_change_the_logits(llama, prompt):
    before, rows, after = prompt
    right, _ = llama.run(plan_of(prompt))
    wrong, _ = llama.run(plan_of((before, rows[::-1], after)))
    assert np.abs(right - wrong).max() > 10 * CLOSE


def test_a_plan_that_llama_cpp_refuses_is_refused_in_words_and_the_next_one_runs(llama, prompt):
    batches = plan_of(prompt)
    batches[1] = {**batches[1], "pos": batches[1]["pos"] - 3}
    with pytest.raises(LlamaCppFailed, match="batch 2 of 3"):
        llama.run(batches)
    assert llama.run(plan_of(prompt))


def test_a_batch_that_ends_its_process_ends_only_that_plan(llama, prompt):
    many = {"token": np.zeros(5000, np.int64), "pos": np.arange(5000), "logits": np.ones(5000, bool)}
    with pytest.raises(LlamaCppFailed):
        llama.run([many])
    assert llama.run(plan_of(prompt))
