"""Training: our forward pass is transformers', packed questions see what they would alone, and a killed run goes on."""

import copy
import json
import random
from pathlib import Path

import pytest
import torch

import sandbox.tiny
from sandbox.tiny import sample_scene, train
from sandbox.tiny.layers import Network, normalize, packed_bias
from sandbox.tiny.model import Trainee
from sandbox.tiny.optimizer import orthogonalize
from sandbox.tiny.packing import MANY, ONE, TWO, draw_pictures, text_ids
from sandbox.tiny.stages import STAGES, ClipStage, LlavaStage, answers_right
from sandbox.tiny.vocabulary import BOS, EOS, IMAGE, PAD, Encoder, build_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def trainee(tokenizer):
    return Trainee(len(tokenizer), seed=0).eval()


@pytest.fixture
def unmeasured(monkeypatch, tokenizer):
    """Stages that don't measure themselves at their end, and a tokenizer that is built already."""
    monkeypatch.setattr("sandbox.tiny.training.build_tokenizer", lambda: tokenizer)
    monkeypatch.setattr("sandbox.tiny.export.build_tokenizer", lambda: copy.deepcopy(tokenizer))
    for kind in STAGES:
        monkeypatch.setattr(kind, "held_out", lambda self: {})


@pytest.fixture(scope="module")
def stage(tokenizer, trainee):
    return LlavaStage(trainee, Network(compiled=False), Encoder(tokenizer))


def test_special_tokens_have_their_ids(tokenizer):
    assert tokenizer.convert_tokens_to_ids(["<s>", "</s>", "<image>", "<pad>"]) == [BOS, EOS, IMAGE, PAD]
    assert tokenizer.padding_side == "left"


@pytest.mark.parametrize(
    "text",
    ["USER: Read the text. ASSISTANT: X4KT</s>", "What colour is the ring?\nAnswer, please", "né 7 Ωü", "ABC abc 99"],
)
def test_tokenizer_round_trips(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(ids).replace("ASSISTANT:", " ASSISTANT:").replace("  ", " ") == text


def test_capitals_and_digits_are_single_tokens(tokenizer):
    for text in ("X4KT2", "CAT", "99999"):
        ids = tokenizer(f' "{text}"', add_special_tokens=False).input_ids
        assert [tokenizer.decode([i]) for i in ids][-len(text) - 1 : -1] == list(text)


def test_built_tokenizer_is_the_shipped_one(tokenizer):
    shipped = json.loads((Path(sandbox.tiny.__file__).parents[1] / "weights/tiny-llava/tokenizer.json").read_text())
    assert json.loads(tokenizer.backend_tokenizer.to_str())["model"] == shipped["model"]


def test_packed_questions_are_the_processors_tokens(tokenizer, stage):
    batch = stage.packer.batch(random.Random(1), ONE)
    ids, segments, slots = batch.sequences.ids, batch.sequences.segments, batch.sequences.slots
    checked = 0
    for row in range(ONE.rows):
        if int((segments[row] == 0).sum()) < 66 or int(segments[row].max()) < 1:
            continue
        for segment in range(1, int(segments[row].max()) + 1):
            chosen = (segments[row] == 0) | (segments[row] == segment)
            packed = [
                int(i)
                for i, slot in zip(ids[row][chosen], slots[row][chosen], strict=True)
                if slot < 0 or slot % 64 == 0
            ]
            text = tokenizer.decode(packed[1:]).replace("ASSISTANT:", " ASSISTANT:")
            assert tokenizer(text).input_ids == packed, text
            checked += 1
    assert checked > 30


def test_vision_and_packed_answers_equal_transformers(stage, trainee):
    rng = random.Random(2)
    for kind in (ONE, TWO):
        batch = stage.packer.batch(rng, kind)
        sequences, pixels = batch.sequences, normalize(batch.pictures.pixels)
        images = kind.images // kind.rows
        with torch.no_grad():
            features, logits, chosen = stage.forward(batch, frozen=True)
            states = trainee.tower(pixels, output_hidden_states=True).hidden_states
            torch.testing.assert_close(features, states[-2], atol=2e-5, rtol=1e-4)
            full = (sequences.ids == IMAGE).sum(1) == 64 * images
            rows = torch.nonzero(full)[:, 0][:4]
            theirs = trainee.llava(
                input_ids=sequences.ids[rows],
                pixel_values=pixels.view(kind.rows, images, *pixels.shape[1:])[rows].flatten(0, 1),
                attention_mask=packed_bias(sequences.segments[rows]),
                position_ids=sequences.positions[rows],
            ).logits[chosen[rows]]
        ours = torch.cat([logits[(torch.nonzero(chosen)[:, 0] == row)] for row in rows])
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


def test_packed_answer_equals_the_answer_alone(stage, trainee):
    batch = stage.packer.batch(random.Random(3), ONE)
    sequences = batch.sequences
    row = next(r for r in range(ONE.rows) if int(sequences.segments[r].max()) > 3)
    chosen = (sequences.segments[row] == 0) | (sequences.segments[row] == 3)
    with torch.no_grad():
        _, logits, targets = stage.forward(batch, frozen=True)
        alone = trainee.llava(
            input_ids=sequences.ids[row][chosen][None], pixel_values=normalize(batch.pictures.pixels[row][None])
        ).logits[0]
    places = torch.nonzero(targets)
    mine = logits[(places[:, 0] == row) & (sequences.segments[row][places[:, 1]] == 3)]
    theirs = alone[sequences.targets[row][chosen] >= 0]
    torch.testing.assert_close(mine, theirs, atol=2e-5, rtol=1e-4)


def test_clip_similarity_equals_transformers(tokenizer, trainee):
    rng = random.Random(4)
    encode = Encoder(tokenizer)
    scenes = [sample_scene(rng) for _ in range(3)]
    texts = ["A red circle.", "An empty gray background.", 'The text says "X4".']
    pictures = draw_pictures(scenes)
    with torch.no_grad():
        ours = ClipStage(trainee, Network(compiled=False), encode)._similarity(pictures, texts)
        ids = torch.tensor([text_ids(encode, text) for text in texts])
        theirs = trainee.clip(input_ids=ids, pixel_values=normalize(pictures.pixels)).logits_per_image
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


def test_many_pictures_fill_one_batch(stage):
    for seed in range(5):
        batch = stage.packer.batch(random.Random(seed), MANY)
        slots = batch.sequences.slots
        images = [len(set((row[row >= 0] // 64).tolist())) for row in slots]
        assert all(3 <= number <= 10 for number in images)
        assert sum(images) <= MANY.images


def test_answers_right_needs_every_token(stage):
    batch = stage.packer.batch(random.Random(5), ONE)
    chosen = batch.sequences.targets >= 0
    truth = torch.nn.functional.one_hot(batch.sequences.targets[chosen]).float()
    assert all(good for _, good in answers_right(batch, truth, chosen))
    truth[0] = truth[0].roll(1)
    assert sum(not good for _, good in answers_right(batch, truth, chosen)) == 1


def test_orthogonalized_matrices_keep_no_direction_small():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(2, 24, 40)))
    assert values.min() > 0.5
    assert values.max() < 1.5


@pytest.mark.usefixtures("unmeasured")
def test_a_halted_run_goes_on_as_if_it_had_not_been(tmp_path):
    """Two steps of each stage on one process, in one go and in several, give the same weights bit for bit."""
    settings = {"steps": 2, "processes": 1, "compiled": False, "questions": 0, "seed": 3}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(whole, **settings)
    calls = 1
    while not train(parts, **settings, halt_after=2):
        calls += 1
    assert calls > 2
    first, second = (torch.load(folder / "checkpoint.pt", weights_only=True)["masters"] for folder in (whole, parts))
    assert all(torch.equal(first[name], second[name]) for name in first)
    logs = [[json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()] for folder in (whole, parts)]
    for log in logs:
        for entry in log:
            entry.pop("seconds")
    assert logs[0] == logs[1]
    assert (whole / "tiny-llava" / "model.safetensors").stat().st_size < 9_000_000


@pytest.mark.usefixtures("unmeasured")
def test_another_seed_does_not_go_on(tmp_path):
    settings = {"steps": 2, "processes": 1, "compiled": False, "questions": 0}
    assert not train(tmp_path, **settings, seed=1, halt_after=1)
    with pytest.raises(ValueError, match="seed"):
        train(tmp_path, **settings, seed=2)
