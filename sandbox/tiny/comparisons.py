"""Questions about several pictures in one prompt, and about how many there are."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from sandbox.tiny.questions import (
    SHORT_SUFFIX,
    TASKS,
    Question,
    article,
    ask_color,
    ask_count,
    ask_presence,
    ask_shape,
)
from sandbox.tiny.scene import SHAPES, Scene, color_shade, contrast, sample_scene

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
"""Names of pictures; a prompt holds at most ten."""

PairAsker = Callable[[random.Random, Sequence[Scene]], Question | None]


def sample_pair(rng: random.Random) -> tuple[Scene, Scene]:
    """Two scenes; in three of ten pairs the second is the first with objects recoloured or left out."""
    first = sample_scene(rng)
    if rng.random() > 0.3:
        return first, sample_scene(rng)
    kept = []
    for thing in first.objects:
        if rng.random() < 0.2:
            continue
        if rng.random() < 0.3:
            color = rng.choice(("red", "green", "blue", "yellow", "purple", "orange"))
            rgb = color_shade(rng, color)
            if contrast(rgb, first.ground) > 75:
                thing = replace(thing, color=color, rgb=rgb)
        kept.append(thing)
    return first, replace(first, objects=tuple(kept), seed=rng.getrandbits(32))


def ask_more(rng: random.Random, scenes: Sequence[Scene]) -> Question | None:
    """Which of two pictures has more shapes, or fewer."""
    first, second = (len(scene.objects) for scene in scenes)
    more = rng.random() < 0.7
    word = "more" if more else "fewer"
    prompt = f"Which image has {word} shapes?"
    if first == second:
        return Question("pair_more", prompt, "same", "Both images have the same number of shapes.")
    winner = "first" if (first > second) == more else "second"
    return Question("pair_more", prompt, winner, f"The {winner} image has {word} shapes.")


def ask_both(rng: random.Random, scenes: Sequence[Scene]) -> Question | None:
    """Whether a shape is in both pictures; what is in one alone makes the harder no."""
    first, second = ({o.shape for o in scene.objects} for scene in scenes)
    if rng.random() < 0.5:
        if not first & second:
            return None
        shape, answer = rng.choice(sorted(first & second)), "yes"
    else:
        names = sorted(first ^ second) or [shape for shape in SHAPES if shape not in first | second]
        shape, answer = rng.choice(names), "no"
    sentence = (
        f"{'Yes' if answer == 'yes' else 'No'}, there is {'' if answer == 'yes' else 'not '}{article(shape)} in both."
    )
    return Question("pair_both", f"Is there {article(shape)} in both images?", answer, sentence)


def ask_one_of(
    rng: random.Random, scenes: Sequence[Scene], task: str, ask: Callable[[random.Random, Scene], Question | None]
) -> Question | None:
    """A question about one picture among several, named by its ordinal."""
    index = rng.randrange(len(scenes))
    question = ask(rng, scenes[index])
    if question is None:
        return None
    where = f" in the {ORDINALS[index]} image"
    prompt = question.prompt.replace(" in the image", "")
    prompt = prompt[:-1] + where + prompt[-1]
    sentence = question.sentence[:-1] + where + question.sentence[-1]
    return Question(task, prompt, question.answer, sentence)


def ask_attribute(rng: random.Random, scenes: Sequence[Scene]) -> Question | None:
    """A colour or a shape in one of the pictures."""
    return ask_one_of(rng, scenes, "pair_attribute", rng.choice((ask_color, ask_color, ask_shape)))


def ask_text_of(rng: random.Random, scenes: Sequence[Scene]) -> Question | None:
    """The text of one of the pictures."""
    index = rng.randrange(len(scenes))
    text = scenes[index].text
    prompt = rng.choice(
        (f"What does the text say in the {ORDINALS[index]} image?", f"Read the text in the {ORDINALS[index]} image.")
    )
    if text is None:
        return Question("pair_text", prompt, "none", f"There is no text in the {ORDINALS[index]} image.")
    return Question("pair_text", prompt, text.characters, f'The text says "{text.characters}".')


def ask_count_of(rng: random.Random, scenes: Sequence[Scene]) -> Question | None:
    """A count in one of the pictures."""
    return ask_one_of(rng, scenes, "pair_count", ask_count)


def ask_presence_of(rng: random.Random, scenes: Sequence[Scene]) -> Question | None:
    """Presence in one of the pictures."""
    return ask_one_of(rng, scenes, "pair_presence", ask_presence)


def ask_how_many(rng: random.Random, scenes: Sequence[Scene]) -> Question | None:
    """How many pictures the prompt holds."""
    number = len(scenes)
    prompt = rng.choice(("How many images are there?", "How many images do you see?", "How many pictures are there?"))
    sentence = "There is 1 image." if number == 1 else f"There are {number} images."
    return Question("how_many_images", prompt, str(number), sentence)


def ask_which(rng: random.Random, scenes: Sequence[Scene]) -> Question | None:
    """Which picture shows something that only one of them shows."""
    index = rng.randrange(len(scenes))
    elsewhere = {o.name for other, scene in enumerate(scenes) if other != index for o in scene.objects}
    names = sorted({o.name for o in scenes[index].objects} - elsewhere)
    if not names:
        return None
    name = rng.choice(names)
    prompt = rng.choice((f"Which image shows {article(name)}?", f"Which image has {article(name)}?"))
    return Question("which_image", prompt, ORDINALS[index], f"The {ORDINALS[index]} image shows {article(name)}.")


PAIR_TASKS: dict[str, PairAsker] = {
    "pair_more": ask_more,
    "pair_attribute": ask_attribute,
    "pair_text": ask_text_of,
    "pair_count": ask_count_of,
    "pair_both": ask_both,
}
"""Tasks about two pictures."""

MANY_TASKS: dict[str, PairAsker] = {
    "how_many_images": ask_how_many,
    "which_image": ask_which,
    "many_attribute": lambda rng, scenes: ask_one_of(rng, scenes, "many_attribute", rng.choice((ask_color, ask_shape))),
    "many_count": lambda rng, scenes: ask_one_of(rng, scenes, "many_count", ask_count),
    "many_presence": lambda rng, scenes: ask_one_of(rng, scenes, "many_presence", ask_presence),
}
"""Tasks about two to ten pictures."""


def ask_without_image(rng: random.Random) -> tuple[str, str]:
    """A question asked of no picture at all, and the only true answer."""
    if rng.random() < 0.15:
        question = ask_how_many(rng, ())
        if question is not None:
            return question.prompt, question.answer
    while True:
        question = TASKS[rng.choice(tuple(TASKS))](rng, sample_scene(rng))
        if question is None:
            continue
        if question.task != "caption" and rng.random() < 0.3:
            return question.prompt + SHORT_SUFFIX, "none"
        return question.prompt, "There is no image."
