"""Questions about one scene, with answers that follow from the scene alone.

Answers are balanced where the world is not: half of the yes-or-no questions have the answer yes, and counts are
drawn over their values before the words. Captions list the objects in reading order.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sandbox.tiny.scene import COLORS, POSITIONS, SHAPES, Object, Scene

SHORT_SUFFIX = "\nAnswer the question using a single word or phrase."
"""LLaVA-1.5's suffix for short answers (Liu et al. 2023, "Improved baselines with visual instruction tuning")."""
SENTENCE_SUFFIX = " Answer in a full sentence."


@dataclass(frozen=True)
class Question:
    """A question and its answer: `answer` in a word or phrase, `sentence` the same in a full sentence."""

    task: str
    prompt: str
    answer: str
    sentence: str


Asker = Callable[[random.Random, Scene], Question | None]

PLACES = {name: f"at the {name}" for name in POSITIONS} | {
    "left": "on the left",
    "right": "on the right",
    "center": "in the center",
}
"""Positions as they stand in a sentence."""

_RELATIONS: tuple[tuple[tuple[str, ...], int, int], ...] = (
    (("to the left of", "left of"), -1, 0),
    (("to the right of", "right of"), 1, 0),
    (("above", "over"), 0, -1),
    (("below", "under"), 0, 1),
)
"""Wordings and the sign of (x, y) of the first object minus the second for which they hold."""

_CLEAR = 14.0  # pixels, one patch: less apart than this and left or above would be a matter of taste


def article(words: str) -> str:
    """The words with "a" or "an" before them."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def plural(noun: str) -> str:
    """The plural of a shape's name."""
    return f"{noun}es" if noun == "cross" else f"{noun}s"


def caption(scene: Scene) -> str:
    """Every object with size, colour, shape and position in reading order, the ground, and the text."""
    parts = [f"{article(f'{o.size} {o.name}')} {PLACES[o.position]}" for o in scene.objects]
    if parts:
        listed = ", ".join(parts)
        sentence = f"{listed[0].upper()}{listed[1:]} on {article(scene.background)} background."
    else:
        sentence = f"An empty {scene.background} background."
    if scene.text is not None:
        sentence += f' The text says "{scene.text.characters}".'
    return sentence


def unique(objects: Iterable[Object], key: Callable[[Object], object]) -> list[Object]:
    """The objects whose key no other object shares."""
    objects = tuple(objects)
    counts = Counter(key(thing) for thing in objects)
    return [thing for thing in objects if counts[key(thing)] == 1]


def ask_color(rng: random.Random, scene: Scene) -> Question | None:
    """The colour of a shape, of what lies at a position, or of the ground."""
    kind = rng.random()
    wrong = rng.random() < 0.16
    if kind < 0.5:
        if wrong:
            shape = _absent(rng, SHAPES, (o.shape for o in scene.objects))
            answer, sentence = "none", f"There is no {shape}."
        else:
            thing = _pick(rng, unique(scene.objects, lambda o: o.shape))
            if thing is None:
                return None
            shape, answer, sentence = thing.shape, thing.color, f"The {thing.shape} is {thing.color}."
        prompt = rng.choice(
            (
                f"What color is the {shape}?",
                f"What is the color of the {shape}?",
                f"What color does the {shape} have?",
                f"What colour is the {shape}?",
            )
        )
    elif kind < 0.85:
        place, thing = _spot(rng, scene, wrong)
        if place is None:
            return None
        prompt = rng.choice(
            (f"What color is the shape {place}?", f"What color is the object {place}?", f"Which color is {place}?")
        )
        if thing is None:
            answer, sentence = "none", f"There is no shape {place}."
        else:
            answer, sentence = thing.color, f"The shape {place} is {thing.color}."
    else:
        prompt = rng.choice(
            ("What color is the background?", "What is the color of the background?", "What is the background color?")
        )
        answer, sentence = scene.background, f"The background is {scene.background}."
    return Question("color", prompt, answer, sentence)


def ask_shape(rng: random.Random, scene: Scene) -> Question | None:
    """The shape of a colour or of what lies at a position."""
    wrong = rng.random() < 0.16
    if rng.random() < 0.5:
        if wrong:
            color = _absent(rng, tuple(COLORS), (o.color for o in scene.objects))
            answer, sentence = "none", f"There is no {color} shape."
        else:
            thing = _pick(rng, unique(scene.objects, lambda o: o.color))
            if thing is None:
                return None
            color, answer = thing.color, thing.shape
            sentence = f"The {color} shape is {article(answer)}."
        prompt = rng.choice(
            (
                f"What shape is {color}?",
                f"What is the {color} shape?",
                f"What shape is the {color} object?",
                f"Which shape is {color}?",
            )
        )
    else:
        place, thing = _spot(rng, scene, wrong)
        if place is None:
            return None
        prompt = rng.choice((f"What shape is {place}?", f"Which shape is {place}?", f"What is {place}?"))
        if thing is None:
            answer, sentence = "none", f"There is no shape {place}."
        else:
            answer, sentence = thing.shape, f"The shape {place} is {article(thing.shape)}."
    return Question("shape", prompt, answer, sentence)


def ask_size(rng: random.Random, scene: Scene) -> Question | None:
    """Small or large."""
    thing, name = _reference(rng, scene.objects)
    if thing is None:
        return None
    prompt = rng.choice(
        (
            f"Is the {name} small or large?",
            f"How big is the {name}?",
            f"What size is the {name}?",
            f"Is the {name} large or small?",
        )
    )
    return Question("size", prompt, thing.size, f"The {name} is {thing.size}.")


def ask_presence(rng: random.Random, scene: Scene) -> Question | None:
    """Whether something is there; what is not there mostly shares a colour or a shape with what is."""
    present = rng.random() < 0.5
    kind = rng.random()

    def words(shape: str, color: str) -> str:
        return shape if kind < 0.25 else f"{color} shape" if kind < 0.45 else f"{color} {shape}"

    there = {words(o.shape, o.color) for o in scene.objects}
    if present:
        if not there:
            return None
        what = rng.choice(sorted(there))
    else:
        for _ in range(20):
            shape = rng.choice(scene.objects).shape if scene.objects and rng.random() < 0.6 else rng.choice(SHAPES)
            color = (
                rng.choice(scene.objects).color if scene.objects and rng.random() < 0.6 else rng.choice(tuple(COLORS))
            )
            what = words(shape, color)
            if what not in there:
                break
        else:
            return None
    prompt = rng.choice(
        (
            f"Is there {article(what)}?",
            f"Is there {article(what)} in the image?",
            f"Does the image show {article(what)}?",
            f"Can you see {article(what)}?",
        )
    )
    if present:
        return Question("presence", prompt, "yes", f"Yes, there is {article(what)}.")
    return Question("presence", prompt, "no", f"No, there is no {what}.")


def ask_position(rng: random.Random, scene: Scene) -> Question | None:
    """In which of the nine cells an object lies."""
    if rng.random() < 0.14:
        there = {o.name for o in scene.objects} | {o.shape for o in scene.objects}
        shape = rng.choice(SHAPES)
        name = shape if rng.random() < 0.3 else f"{rng.choice(tuple(COLORS))} {shape}"
        if name in there:
            return None
        answer, sentence = "none", f"There is no {name}."
    else:
        thing, name = _reference(rng, scene.objects)
        if thing is None:
            return None
        answer, sentence = thing.position, f"The {name} is {PLACES[thing.position]}."
    prompt = rng.choice(
        (
            f"Where is the {name}?",
            f"Where is the {name} in the image?",
            f"What is the position of the {name}?",
            f"In which part of the image is the {name}?",
        )
    )
    return Question("position", prompt, answer, sentence)


def ask_count(rng: random.Random, scene: Scene) -> Question | None:
    """How many shapes there are, in all or of one colour or shape."""
    kind = rng.random()
    objects = scene.objects
    if kind < 0.45:
        number, one, many = len(objects), "shape", rng.choice(("shapes", "shapes", "objects"))
    elif kind < 0.73:
        color = _balanced(rng, Counter(o.color for o in objects), tuple(COLORS))
        number, one, many = sum(o.color == color for o in objects), f"{color} shape", f"{color} shapes"
    else:
        shape = _balanced(rng, Counter(o.shape for o in objects), SHAPES)
        number, one, many = sum(o.shape == shape for o in objects), shape, plural(shape)
    prompt = rng.choice(
        (
            f"How many {many} are there?",
            f"How many {many} are in the image?",
            f"How many {many} can you see?",
            f"Count the {many}.",
            f"What is the number of {many}?",
        )
    )
    sentence = f"There is 1 {one}." if number == 1 else f"There are {number} {plural(one)}."
    return Question("count", prompt, str(number), sentence)


def ask_relation(rng: random.Random, scene: Scene) -> Question | None:
    """Whether one object lies left, right, above or below of another, at least a patch apart along that direction."""
    first, name = _reference(rng, scene.objects)
    if first is None:
        return None
    second, other = _reference(rng, [o for o in scene.objects if o is not first], scene.objects)
    if second is None:
        return None
    dx, dy = first.x - second.x, first.y - second.y
    axes = [(dx, 0.0)] * (abs(dx) > _CLEAR) + [(0.0, dy)] * (abs(dy) > _CLEAR)
    if not axes:
        return None
    x, y = rng.choice(axes)
    holds = rng.random() < 0.5
    wordings = next(w for w, sx, sy in _RELATIONS if (x * sx + y * sy > 0) == holds and (x != 0) == (sx != 0))
    words = rng.choice(wordings)
    prompt = rng.choice((f"Is the {name} {words} the {other}?", f"Is the {name} {words} the {other} in the image?"))
    sentence = f"{'Yes' if holds else 'No'}, the {name} is {'' if holds else 'not '}{words} the {other}."
    return Question("relation", prompt, "yes" if holds else "no", sentence)


def ask_text(rng: random.Random, scene: Scene) -> Question | None:
    """What is written."""
    prompt = rng.choice(
        (
            "What does the text say?",
            "Read the text.",
            "What is written in the image?",
            "What text is in the image?",
            "What is the text?",
        )
    )
    if scene.text is None:
        return Question("text", prompt, "none", "There is no text.")
    return Question("text", prompt, scene.text.characters, f'The text says "{scene.text.characters}".')


def ask_caption(rng: random.Random, scene: Scene) -> Question | None:
    """A description of everything."""
    prompt = rng.choice(
        (
            "Describe the image.",
            "What is in the image?",
            "Write a caption for this image.",
            "Describe this image.",
            "What do you see?",
            "Describe the picture.",
        )
    )
    words = caption(scene)
    return Question("caption", prompt, words, words)


TASKS: dict[str, Asker] = {
    "color": ask_color,
    "shape": ask_shape,
    "size": ask_size,
    "presence": ask_presence,
    "position": ask_position,
    "count": ask_count,
    "relation": ask_relation,
    "text": ask_text,
    "caption": ask_caption,
}
"""Tasks about one picture. Each returns None where the scene has no such question."""


def in_style(rng: random.Random, question: Question) -> tuple[str, str]:
    """The question as a person might put it, and the answer that this wording calls for.

    Most questions stay bare; some carry LLaVA-1.5's short-answer suffix or ask for a sentence, and some begin in lower
    case or lack the question mark.
    """
    prompt, answer = question.prompt, question.answer
    if rng.random() < 0.08:
        prompt = prompt[0].lower() + prompt[1:]
    if rng.random() < 0.06 and prompt.endswith("?"):
        prompt = prompt[:-1]
    if question.task == "caption":
        return prompt, answer
    kind = rng.random()
    if kind < 0.70:
        return prompt, answer
    if kind < 0.82:
        return prompt + SHORT_SUFFIX, answer
    if kind < 0.87:
        return prompt + " " + SHORT_SUFFIX.strip(), answer
    return prompt + SENTENCE_SUFFIX, question.sentence


def _pick(rng: random.Random, objects: Sequence[Object]) -> Object | None:
    return rng.choice(objects) if objects else None


def _absent(rng: random.Random, names: Sequence[str], present: Iterable[str]) -> str:
    there = set(present)
    return rng.choice([name for name in names if name not in there])


def _spot(rng: random.Random, scene: Scene, empty: bool) -> tuple[str | None, Object | None]:
    """A place in words with the only object there, or with None where nothing is there."""
    if empty:
        taken = {o.position for o in scene.objects}
        return PLACES[rng.choice([name for name in POSITIONS if name not in taken])], None
    thing = _pick(rng, unique(scene.objects, lambda o: o.cell))
    return (None, None) if thing is None else (PLACES[thing.position], thing)


def _reference(
    rng: random.Random, objects: Sequence[Object], among: Sequence[Object] | None = None
) -> tuple[Object | None, str]:
    """An object and words that name it alone among `among` (by default, among the objects themselves)."""
    everything = objects if among is None else among
    kind = rng.random()
    key: Callable[[Object], str]
    if kind < 0.7:
        key = _full_name
    elif kind < 0.9:
        key = _shape_name
    else:
        key = _color_name
    single = {id(thing) for thing in unique(everything, key)}
    thing = _pick(rng, [thing for thing in objects if id(thing) in single])
    return (None, "") if thing is None else (thing, key(thing))


def _full_name(thing: Object) -> str:
    return thing.name


def _shape_name(thing: Object) -> str:
    return thing.shape


def _color_name(thing: Object) -> str:
    return f"{thing.color} shape"


def _balanced(rng: random.Random, counts: Counter[str], names: Sequence[str]) -> str:
    """A name whose count is drawn about evenly over the counts that occur, absent names among them at a fifth."""
    if not counts or rng.random() < 0.2:
        return _absent(rng, names, counts)
    number = rng.choice(sorted(set(counts.values())))
    return rng.choice([name for name in counts if counts[name] == number])
