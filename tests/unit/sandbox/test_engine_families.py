"""Every LLaVA family gives the tokens of its own processor and its own `generate`."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw
from random_llava import save_random_family

from sandbox import StageFailed, load_engine

TILED = ["llava_next", "llava_onevision"]
FAMILIES = ["vipllava", *TILED]
SIZES = [(60, 40), (40, 90), (28, 28), (200, 20), (120, 115), (1, 90)]


@pytest.fixture(scope="module")
def engines(tmp_path_factory, settings):
    made = {
        name: load_engine(save_random_family(tmp_path_factory.mktemp(name), name), settings=settings)
        for name in FAMILIES
    }
    yield made
    for engine in made.values():
        engine.close()


def picture(size, number=0):
    image = Image.new("RGB", size, ["white", "yellow", "gray", "pink"][number % 4])
    ImageDraw.Draw(image).ellipse(
        (2, 2, size[0] * 2 // 3 + 3, size[1] // 2 + 3), fill=["red", "blue", "green"][number % 3]
    )
    return image


def generated(engine, prompt, images, length):
    """What transformers' own processor and `generate` make of it: (number of image tokens, new tokens)."""
    processor, model = engine.checkpoint.processor, engine.checkpoint.model
    text = "USER: " + "<image>\n" * len(images) + prompt + " ASSISTANT:"
    together = model.config.model_type == "llava_onevision"
    inputs = processor(images=[images] if images and together else images or None, text=text, return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=length, do_sample=False)
    return int((inputs["input_ids"] == 2).sum()), tuple(output[0, inputs["input_ids"].shape[1] :].tolist())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_are_those_of_generate(engines, family, size):
    engine, images = engines[family], [picture(size)]
    reply = engine.answer("What is this?", images, max_new_tokens=16)
    expected = generated(engine, "What is this?", images, 16)
    assert (reply.trace.image_tokens, reply.tokens) == expected
    assert engine.checkpoint.count_image_tokens(size) == expected[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_several_pictures_give_the_tokens_of_generate(engines, family):
    engine, images = engines[family], [picture(size, number) for number, size in enumerate(SIZES[:3])]
    reply = engine.answer("Which has more?", images, max_new_tokens=16)
    expected = generated(engine, "Which has more?", images, 16)
    assert (reply.trace.image_tokens, reply.tokens) == expected
    assert sum(engine.checkpoint.count_image_tokens(size, images=3) for size in SIZES[:3]) == expected[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_without_pictures_gives_the_tokens_of_generate(engines, family):
    reply = engines[family].answer("Why?", max_new_tokens=16)
    assert reply.tokens == generated(engines[family], "Why?", [], 16)[1]


def test_a_tower_without_class_token_tiles_too(tmp_path, settings):
    engine = load_engine(save_random_family(tmp_path, "llava_next", strategy="full"), settings=settings)
    images = [picture((60, 40))]
    reply = engine.answer("What?", images, max_new_tokens=16)
    assert (reply.trace.image_tokens, reply.tokens) == generated(engine, "What?", images, 16)


def test_the_trace_says_how_a_picture_was_cut(engines):
    trace = (
        engines["llava_next"]
        .answer("What?", [picture((60, 40)), picture((40, 90))], max_new_tokens=1, cache=False)
        .trace
    )
    assert trace.tiles == (5, 4)
    assert trace.pixels.shape == (9, 3, 28, 28)
    assert trace.stage("preprocess").note == "1 overview + 2 x 2 tiles; 1 overview + 3 x 1 tiles"
    assert trace.stage("encode").output.shape == (9, 17, 32)
    assert trace.stage("project").note == (
        "70 tokens: 16 + 6 rows of 8 and a newline; 66 tokens: 16 + 10 rows of 4 and a newline"
    )
    assert trace.processed_image(8).size == (28, 28)
    several = (
        engines["llava_onevision"]
        .answer("What?", [picture((60, 40)), picture((40, 90))], max_new_tokens=1, cache=False)
        .trace
    )
    assert several.tiles == (1, 1)
    assert several.stage("project").note == "17 tokens with one newline; 17 tokens with one newline"


@pytest.mark.parametrize("family", TILED)
def test_the_reference_in_a_stages_place_changes_nothing_tile_by_tile(engines, family):
    engine, images = engines[family], [picture((120, 50))]
    checkpoint = engine.checkpoint
    from sandbox.stages import encode, preprocess, select

    seen = {}

    def project(features):
        import torch

        seen["project"] = [rows.shape for rows in features]
        with torch.inference_mode():
            return [checkpoint.model.model.multi_modal_projector(torch.from_numpy(rows)).numpy() for rows in features]

    def reduce(features):
        seen["reduce"] = features.shape
        return list(features)

    layouts = checkpoint.layouts([images[0].size])
    own = {
        "preprocess": lambda images: preprocess.preprocess(images, checkpoint.processor.image_processor, layouts),
        "encode": lambda pixels: encode.encode(pixels, checkpoint, checkpoint.feature_layer),
        "select": lambda hidden: select.select(hidden, checkpoint.strategy),
        "reduce": reduce,
        "project": project,
    }
    expected = engine.answer("What?", images, max_new_tokens=12)
    replaced = engine.answer("What?", images, max_new_tokens=12, replace=own)
    assert replaced.tokens == expected.tokens
    tiles = layouts[0].tiles
    assert seen == {"reduce": (tiles, 16, 32), "project": [(16, 32)] * tiles}
    assert replaced.trace.stage("project").output.shape == expected.trace.stage("project").output.shape


def test_one_square_for_each_picture_may_be_given_instead_of_tiles(engines):
    squares = np.zeros((2, 3, 28, 28), "float32")
    images = [picture((60, 40)), picture((40, 90))]
    trace = (
        engines["llava_next"]
        .answer("What?", images, max_new_tokens=1, replace={"preprocess": lambda images: squares})
        .trace
    )
    assert (trace.tiles, trace.image_tokens) == ((1, 1), 2 * 17)


def test_tiles_that_were_made_shorter_follow_one_another(engines):
    trace = (
        engines["llava_next"]
        .answer(
            "What?",
            [picture((60, 40))],
            max_new_tokens=1,
            replace={"reduce": lambda features: [rows[::2] for rows in features]},
        )
        .trace
    )
    assert trace.image_tokens == 5 * 8 + 1
    assert trace.stage("project").note == "41 tokens with one newline"


def test_another_number_of_tiles_is_refused_in_words(engines):
    with pytest.raises(StageFailed, match=r"for 1 pictures in 5 tiles, or 1 squares; it returned \(3, 3, 28, 28\)"):
        engines["llava_next"].answer(
            "What?", [picture((60, 40))], replace={"preprocess": lambda images: np.zeros((3, 3, 28, 28), "float32")}
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_in_half_precision_the_features_are_those_of_get_image_features(engines, family):
    import torch

    checkpoint = engines[family].checkpoint
    model = copy.deepcopy(checkpoint.model).to(torch.bfloat16)
    half = replace(checkpoint, model=model, placement=checkpoint.placement._replace(dtype=torch.bfloat16))
    from sandbox.stages import encode, preprocess, project, reduce, select

    images = [picture((120, 50))]
    layouts = half.layouts([images[0].size])
    pixels = preprocess.preprocess(images, half.processor.image_processor, layouts)
    hidden = select.select(encode.encode(pixels, half, half.feature_layer), half.strategy)
    (features,) = project.project(reduce.reduce(hidden), half, layouts)
    inputs = half.processor.image_processor(images=images, return_tensors="pt")
    sizes = {"image_sizes": inputs["image_sizes"]} if half.tiled else {}
    with torch.inference_mode():
        outputs = model.get_image_features(inputs["pixel_values"].to(torch.bfloat16), **sizes)
    expected = outputs.pooler_output[0].float().numpy()
    assert features.shape == expected.shape == (layouts[0].tokens, 48)
    assert np.abs(features - expected).max() <= 0.02 * np.abs(expected).max()  # bfloat16 has 8 bits


@pytest.mark.parametrize("family", TILED)
def test_a_checkpoint_in_the_files_of_the_published_ones_is_read(engines, family, tmp_path, settings):
    save_random_family(tmp_path, family)
    kind = {"llava_next": "LlavaNext", "llava_onevision": "LlavaOnevision"}[family]
    ours = json.loads((tmp_path / "processor_config.json").read_text())
    images = ours.pop("image_processor") | {"image_processor_type": f"{kind}ImageProcessor"}
    template = tmp_path / "chat_template.jinja"
    files = {
        "preprocessor_config.json": images | {"processor_class": f"{kind}Processor"},
        "processor_config.json": ours | {"processor_class": f"{kind}Processor"},
        "chat_template.json": {"chat_template": template.read_text()},
    }
    if family == "llava_onevision":
        files["processor_config.json"]["video_token"] = "<video>"
        files["video_preprocessor_config.json"] = {"video_processor_type": "LlavaOnevisionVideoProcessor"}
    template.unlink()
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    engine = load_engine(tmp_path, settings=settings)
    asked = ("What?", [picture((60, 40))])
    assert engine.answer(*asked, max_new_tokens=8).tokens == engines[family].answer(*asked, max_new_tokens=8).tokens
    engine.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_program_can_be_exported_and_computes_what_the_plain_one_does(engines, family):
    import torch

    from sandbox.compiling import Plan
    from sandbox.exporting import exports

    source = torch.Generator().manual_seed(0)
    checkpoint = engines[family].checkpoint
    for name, module, inputs, varying in exports(checkpoint, Plan(320, {64: 2}, 1)):
        with torch.no_grad():
            for value in torch.utils._pytree.tree_leaves(inputs):
                if value.is_floating_point():
                    value.normal_(generator=source)
            exported = torch.export.export(module, inputs, dynamic_shapes=varying, strict=False).module()
            for ours, theirs in zip(exported(*inputs), module(*inputs), strict=True):
                torch.testing.assert_close(ours, theirs, msg=lambda text, name=name: f"{name}: {text}")
