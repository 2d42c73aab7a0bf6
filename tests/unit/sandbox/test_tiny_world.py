"""The world: the same scene and picture for the same seed, and answers that are true of their scenes."""

import math
import random
import re
import subprocess
import sys

import numpy as np
import pytest

from sandbox.tiny import MANY_TASKS, PAIR_TASKS, TASKS, caption, draw, sample_scene
from sandbox.tiny.comparisons import ORDINALS, sample_pair
from sandbox.tiny.labels import dense_labels, patch_of
from sandbox.tiny.questions import Question, in_style
from sandbox.tiny.scene import ALPHABET, COLORS, PICTURE_SIZE, POSITIONS, SHAPES, Object, Scene

SCENES = [sample_scene(random.Random(f"test/{index}")) for index in range(300)]


def questions(task: str) -> list[tuple[Scene, Question]]:
    rng = random.Random(task)
    asked = ((scene, TASKS[task](rng, scene)) for scene in SCENES)
    return [(scene, question) for scene, question in asked if question is not None]


def meant(scene: Scene, words: str) -> list[Object]:
    """Objects that a phrase of colour, shape, or both can mean, found without the asking code."""
    names = words.split()
    color = next((name for name in names if name in COLORS), None)
    shape = next((name for name in names if name in SHAPES), None)
    return [o for o in scene.objects if color in (None, o.color) and shape in (None, o.shape)]


def test_equal_seeds_give_equal_scenes_and_pixels():
    first, second = (sample_scene(random.Random(5)) for _ in range(2))
    assert first == second
    assert np.array_equal(np.asarray(draw(first)), np.asarray(draw(second)))
    assert first != sample_scene(random.Random(6))


def test_importing_the_world_imports_no_model_library():
    code = "import sys, sandbox.tiny; sys.exit(bool({'torch', 'transformers', 'tokenizers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pictures_are_small_rgb():
    for scene in SCENES[:20]:
        picture = draw(scene)
        assert (picture.mode, picture.size) == ("RGB", (PICTURE_SIZE, PICTURE_SIZE))


def test_objects_show_their_color_inside_the_picture():
    for scene in SCENES:
        pixels = np.asarray(draw(scene), float)
        for thing in scene.objects:
            assert thing.radius < thing.x < PICTURE_SIZE - thing.radius
            assert thing.radius < thing.y < PICTURE_SIZE - thing.radius
            right_angled = thing.shape == "triangle" and thing.variant < 2  # its centre lies on the long side
            if thing.shape == "ring" or thing.hollow or right_angled or scene.jpeg:
                continue
            seen = pixels[int(thing.y), int(thing.x)]
            assert np.abs(seen - thing.rgb).max() < 24, (thing, seen)


def test_objects_do_not_overlap_each_other():
    for scene in SCENES:
        for index, one in enumerate(scene.objects):
            for other in scene.objects[index + 1 :]:
                assert math.dist((one.x, one.y), (other.x, other.y)) > one.radius + other.radius


def test_world_is_varied():
    objects = [thing for scene in SCENES for thing in scene.objects]
    assert {thing.shape for thing in objects} == set(SHAPES)
    assert {thing.color for thing in objects} == set(COLORS)
    assert {thing.position for thing in objects} == set(POSITIONS)
    assert {len(scene.objects) for scene in SCENES} == set(range(6))
    assert max(thing.radius for thing in objects) > 0.22 * PICTURE_SIZE
    texts = [scene.text.characters for scene in SCENES if scene.text]
    assert set("".join(texts)) == set(ALPHABET)
    assert {len(text) for text in texts} == {2, 3, 4, 5}


def test_asked_for_count_and_text_are_kept():
    rng = random.Random(0)
    for count in range(5):
        assert len(sample_scene(rng, count=count, text=False).objects) == count
    assert sample_scene(rng, text=True).text is not None
    assert sample_scene(rng, text=False).text is None


def test_colors_and_shapes_are_true():
    for task, value in (("color", "color"), ("shape", "shape")):
        for scene, question in questions(task):
            if "background" in question.prompt:
                assert question.answer == scene.background
                continue
            position = next(
                (p for p in sorted(POSITIONS, key=len)[::-1] if re.search(rf"\b{p}\b", question.prompt)), None
            )
            if position:
                found = [o for o in scene.objects if o.position == position]
            else:
                found = meant(scene, re.sub(r"[?]", "", question.prompt))
            assert question.answer == (getattr(found[0], value) if found else "none"), (question, scene)
            assert len(found) <= 1


def test_sizes_and_positions_are_true():
    for task in ("size", "position"):
        for scene, question in questions(task):
            found = meant(scene, question.prompt.rstrip("?"))
            if question.answer == "none":
                assert not found
            else:
                assert len(found) == 1
                assert question.answer == getattr(found[0], task)


def test_counts_are_true():
    for scene, question in questions("count"):
        singular = {"crosses": "cross"} | {f"{shape}s": shape for shape in SHAPES}
        words = [singular.get(word, word) for word in question.prompt.rstrip(".?").split()]
        assert question.answer == str(len(meant(scene, " ".join(words)))), question


def test_presence_is_true():
    for scene, question in questions("presence"):
        assert (question.answer == "yes") == bool(meant(scene, question.prompt[:-1])), question


def test_relations_are_true():
    for scene, question in questions("relation"):
        match = re.match(
            r"Is the (.+?) (to the left of|left of|to the right of|right of|above|over|below|under) "
            r"the (.+?)(?: in the image)?\?",
            question.prompt,
        )
        assert match
        (one,), (other,) = meant(scene, match[1]), meant(scene, match[3])
        dx, dy = one.x - other.x, one.y - other.y
        holds = {"left": dx < 0, "right": dx > 0, "above": dy < 0, "over": dy < 0, "below": dy > 0, "under": dy > 0}
        word = next(word for word in holds if word in match[2])
        assert (question.answer == "yes") == holds[word], question


def test_texts_and_captions_are_true():
    for scene, question in questions("text"):
        assert question.answer == (scene.text.characters if scene.text else "none")
    for scene in SCENES:
        words = caption(scene)
        assert words.count(" at the ") + words.count(" on the ") + words.count(" in the ") == len(scene.objects)
        assert f"{scene.background} background" in words
        assert (scene.text is not None and f'"{scene.text.characters}"' in words) or "text" not in words


@pytest.mark.parametrize("task", ["presence", "relation"])
def test_yes_and_no_are_balanced(task):
    answers = [question.answer for _, question in questions(task)]
    assert 0.4 < answers.count("yes") / len(answers) < 0.6


def test_questions_about_several_pictures_are_true():
    rng = random.Random("pairs")
    for _ in range(200):
        pair = sample_pair(rng)
        counts = [len(scene.objects) for scene in pair]
        question = PAIR_TASKS["pair_more"](rng, pair)
        if question.answer == "same":
            assert counts[0] == counts[1]
        else:
            bigger = "first" if counts[0] > counts[1] else "second"
            assert (question.answer == bigger) == ("more" in question.prompt)
        question = PAIR_TASKS["pair_text"](rng, pair)
        text = pair["second image" in question.prompt].text
        assert question.answer == (text.characters if text else "none")
        both = PAIR_TASKS["pair_both"](rng, pair)
        if both is not None:
            shape = next(shape for shape in SHAPES if f" {shape} " in both.prompt)
            assert (both.answer == "yes") == all(any(o.shape == shape for o in scene.objects) for scene in pair)


def test_questions_about_many_pictures_are_true():
    rng = random.Random("many")
    for number in range(2, 11):
        scenes = [sample_scene(rng) for _ in range(number)]
        assert MANY_TASKS["how_many_images"](rng, scenes).answer == str(number)
        question = MANY_TASKS["which_image"](rng, scenes)
        if question is not None:
            shown = [i for i, scene in enumerate(scenes) if meant(scene, question.prompt[:-1])]
            assert shown == [ORDINALS.index(question.answer)]


def test_styles_keep_the_answer():
    rng = random.Random("styles")
    _, question = questions("color")[0]
    seen = {in_style(rng, question) for _ in range(200)}
    assert len(seen) > 4
    assert {answer for _, answer in seen} == {question.answer, question.sentence}


def test_labels_name_what_is_centred_in_a_patch():
    for scene in SCENES[:50]:
        patches, picture, offsets = dense_labels(scene)
        assert picture[0] == len(scene.objects)
        for thing in scene.objects:
            patch = patch_of(thing.x, thing.y)
            assert SHAPES[patches[0, patch] - 1] in {o.shape for o in scene.objects}
            assert np.abs(offsets[patch]).max() <= 0.5
        if scene.text:
            assert (patches[7] > 0).sum() == len({patch_of(*center) for center in scene.text.centers})
