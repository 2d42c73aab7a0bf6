"""The shipped weights: plain transformers loads them, they answer, they fit, and their card tells what was measured."""

import json
import random
from pathlib import Path

import pytest
import torch
from PIL import Image

import sandbox.tiny
from sandbox.tiny import TASKS, caption, draw, sample_scene
from sandbox.tiny.card import CARD, RESULTS, clip_card, llava_card
from sandbox.tiny.evaluation import Answerer, Item, accuracy, as_user, held_out_items, phrase_f1
from sandbox.tiny.export import CLIP, LLAVA
from sandbox.tiny.questions import SHORT_SUFFIX, Question

WEIGHTS = Path(sandbox.tiny.__file__).parents[1] / "weights"
FLOOR = 0.15
"""How far a sample of 20 to 40 answers may lie below the card's figure."""


@pytest.fixture(scope="module")
def answerer():
    return Answerer(WEIGHTS / LLAVA)


@pytest.fixture(scope="module")
def results():
    return json.loads((WEIGHTS / LLAVA / RESULTS).read_text())


def test_weights_are_at_most_15_megabytes():
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 15_000_000
    assert {path.suffix for path in files if path.stat().st_size > 200_000} == {".safetensors"}


def test_architecture_is_llava_1_5_in_small(answerer):
    config = answerer.model.config
    assert (config.vision_feature_layer, config.vision_feature_select_strategy) == (-2, "default")
    assert (config.vision_config.image_size, config.vision_config.patch_size) == (112, 14)
    assert config.image_token_id == 3
    tokenizer = answerer.processor.tokenizer
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 4)
    assert tokenizer.padding_side == "left"


def test_chat_template_makes_llava_1_5_prompts(answerer):
    turns = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Read the text."}]},
        {"role": "assistant", "content": [{"type": "text", "text": "CAT"}]},
        {"role": "user", "content": [{"type": "text", "text": "What color is it?"}]},
    ]
    prompt = answerer.processor.apply_chat_template(turns, add_generation_prompt=True)
    assert prompt == ("USER: <image>\nRead the text. ASSISTANT: CAT</s>USER: What color is it? ASSISTANT:")


def test_answers_reach_the_cards_figures(answerer, results):
    for task in TASKS:
        items = held_out_items(task, 8 if task == "caption" else 24)
        answers = answerer(items)
        row = results["tasks"][task]
        if task == "caption":
            assert phrase_f1(answers, items) > row["phrase_f1"] - FLOOR
        else:
            assert accuracy(answers, items) > row["accuracy"] - FLOOR, task


def test_picture_decides_the_answer(answerer):
    rng = random.Random(7)
    scenes = [sample_scene(rng, count=3) for _ in range(6)]
    question = Question("caption", "Describe the image.", "", "")
    assert len(set(answerer([Item([draw(scene)], question) for scene in scenes]))) == 6


def test_no_image_is_said_to_be_no_image(answerer):
    items = [Item([], Question("color", "What color is the circle?", "There is no image.", ""))]
    answerer.prompt = lambda question, _: f"USER: {question} ASSISTANT:"
    try:
        assert answerer(items) == ["There is no image."]
    finally:
        answerer.prompt = as_user


@pytest.mark.parametrize("number", [2, 5, 10])
def test_several_images_are_counted(answerer, number):
    rng = random.Random(number)
    pictures = [draw(sample_scene(rng)) for _ in range(number)]
    assert answerer([Item(pictures, Question("", "How many images are there?", "", ""))]) == [str(number)]


def test_short_answer_suffix_gives_short_answers(answerer):
    rng = random.Random(3)
    items = [
        Item([draw(sample_scene(rng))], Question("", "What color is the background?" + SHORT_SUFFIX, "", ""))
        for _ in range(6)
    ]
    assert all(len(answer.split()) <= 2 for answer in answerer(items))


def test_simple_drawings_of_other_programs_are_understood(answerer):
    picture = Image.new("RGB", (320, 240), "white")
    picture.paste((255, 0, 0), (110, 70, 210, 170))
    asked = {"What shape is red?": "square", "How many shapes are there?": "1", "What color is the square?": "red"}
    items = [Item([picture], Question("", prompt, answer, "")) for prompt, answer in asked.items()]
    assert answerer(items) == list(asked.values())


def test_clip_finds_pictures_by_caption():
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(WEIGHTS / CLIP, dtype=torch.float32).eval()
    processor = CLIPProcessor.from_pretrained(WEIGHTS / CLIP)
    rng = random.Random("search")
    scenes = [sample_scene(rng) for _ in range(16)]
    inputs = processor(
        images=[draw(scene) for scene in scenes],
        text=[caption(scene) for scene in scenes],
        return_tensors="pt",
        padding="max_length",
        truncation=True,
        max_length=model.config.text_config.max_position_embeddings,
    )
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        scores = model(**inputs).logits_per_image
    assert (scores.argmax(0) == torch.arange(16)).float().mean() > 0.8


def test_clip_shares_llavas_trunk(answerer):
    from transformers import CLIPModel

    ours = answerer.model.model.vision_tower.state_dict()
    theirs = CLIPModel.from_pretrained(WEIGHTS / CLIP, dtype=torch.float32).vision_model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_cards_say_what_was_measured(results):
    assert (WEIGHTS / LLAVA / CARD).read_text() == llava_card(results)
    assert (WEIGHTS / CLIP / CARD).read_text() == clip_card(results)
    for task in TASKS:
        assert results["tasks"][task]["questions"] >= 200
