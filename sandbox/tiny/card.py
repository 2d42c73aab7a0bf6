"""Model cards written from measured results, so that no figure is typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sandbox.tiny.export import CLIP, LLAVA
from sandbox.tiny.scene import ALPHABET, BACKGROUNDS, COLORS, FONTS, SHAPES

RESULTS = "results.json"
CARD = "README.md"

TARGETS = {
    "color": 0.98,
    "shape": 0.98,
    "size": 0.98,
    "presence": 0.98,
    "position": 0.93,
    "count": 0.90,
    "relation": 0.85,
    "text": 0.90,
    "caption": 0.90,
}
"""What was aimed for: accuracy; for `text` where there is text, for `caption` the phrases' F1."""

Results = dict[str, Any]


def write_cards(results: Results, models_dir: Path) -> None:
    """Write `results.json` and `README.md` into both folders under `models_dir`."""
    for folder, text in ((LLAVA, llava_card(results)), (CLIP, clip_card(results))):
        target = models_dir / folder
        (target / RESULTS).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (target / CARD).write_text(text, encoding="utf-8")


def reached(task: str, row: dict[str, float]) -> float:
    """The figure that a task's target is about."""
    return row[{"text": "accuracy_where_text", "caption": "phrase_f1"}.get(task, "accuracy")]


def llava_card(results: Results) -> str:
    """The LLaVA's model card as Markdown."""
    sections = (
        _FRONT_MATTER + "# tiny-llava\n\n" + _INTRODUCTION,
        "## Use\n\n" + _USE,
        "## Data\n\n" + _DATA,
        "## Recipe\n\n" + _recipe(results["training"]),
        "## Accuracy on held-out scenes\n\n" + _tasks(results["tasks"]),
        "## Prompts\n\n" + _prompts(results["prompts"]),
        "## Pictures by another hand\n\n" + _other_hand(results["other_hand"]),
        "## What faults cost\n\n" + _faults(results["faults"]),
        "## What it can't do\n\n" + _limits(results),
    )
    return "\n".join(section.rstrip() + "\n" for section in sections)


def clip_card(results: Results) -> str:
    """The CLIP's model card as Markdown."""
    retrieval = results["retrieval"]
    return (
        f"""{_FRONT_MATTER}# tiny-clip

The CLIP of tiny-llava's vision tower: the same first five layers, bit for bit, with the sixth layer, the text tower
(three layers, width 128) and the projections trained contrastively behind them. It searches pictures of tiny-llava's
world by description. `CLIPModel.from_pretrained` and `CLIPProcessor` load it. Run it in float32 and pad texts on
the right to 80 tokens: the text tower reads out at the first padding token.

## Retrieval among 100 held-out scenes (mean of 10 sets)

| direction | first hit is right |
| --- | --- |
| caption to picture | {_number(retrieval["text_to_image"])} |
| picture to caption | {_number(retrieval["image_to_text"])} |

## What it can't do

Photographs, words outside the world's vocabulary, negation and counting in words. Data, recipe and licence are
tiny-llava's; its card describes them.
""".rstrip()
        + "\n"
    )


_FRONT_MATTER = "---\nlicense: apache-2.0\nlibrary_name: transformers\nlanguage: en\n---\n\n"

_INTRODUCTION = """A LLaVA-1.5 in small: a CLIP vision tower (112 px, patch 14, 64 patches, width 128, 6 layers), a
two-layer projector and a Llama (width 192, 6 layers), 4.1 million parameters in float16. It answers questions about
flat shapes and short texts, and exists so that every stage of a real LLaVA can be run, watched and broken on a
laptop's processor in milliseconds. Plain transformers loads it; nothing in it is stubbed.
"""

_USE = """```python
from transformers import LlavaForConditionalGeneration, LlavaProcessor

processor = LlavaProcessor.from_pretrained(folder)
model = LlavaForConditionalGeneration.from_pretrained(folder, dtype="float32")
inputs = processor(images=[picture], text="USER: <image>\\nWhat color is the circle? ASSISTANT:", return_tensors="pt")
print(processor.decode(model.generate(**inputs)[0], skip_special_tokens=True))
```

Batches are padded on the left. The prompt format is llava-1.5's; a prompt holds zero to ten pictures.
"""

_DATA = f"""Everything is drawn from a procedural world (`sandbox/tiny/`), fresh for each step; no photograph, no
text from elsewhere and no other model's output was used. Questions are made from the scene in several phrasings, with
and without LLaVA-1.5's short-answer suffix, balanced in their answers.

- Objects: zero to five, small or large up to half the picture, turned a little, filled, outlined or hollow.
- Shapes ({len(SHAPES)}): {", ".join(SHAPES)}.
- Colours ({len(COLORS)}): {", ".join(COLORS)}, each in several shades.
- Grounds ({len(BACKGROUNDS)}): {", ".join(BACKGROUNDS)}.
- Text: none, or two to five of `{ALPHABET}` in one of {len(FONTS)} DejaVu faces.
- Rendering: anti-aliased or not, with or without grain, slopes of brightness and JPEG artefacts.
"""


def _recipe(training: dict[str, Any]) -> str:
    stages = "\n".join(
        f"| {row['stage']} | {row['steps']} | {row['minutes']:.0f} | {row['pictures']:,} |"
        for row in training["stages"]
    )
    return f"""`vivalab train-tiny`, seed {training["seed"]}, {training["processes"]} processes on two processor cores.

1. vision: the tower alone is trained to tell, at each patch, what is centred there (shape, colour, size, cell, rank
   in reading order, number of objects of the same colour and shape, character) and, at every patch, how many objects
   there are.
2. llava: projector and language model learn to answer; after the first twentieth the tower up to layer -2 learns with
   them, and the first stage's loss goes on at weight 0.2. About seven questions a picture share one sequence.
3. clip: behind the frozen trunk, the sixth layer learns with a text tower to match pictures and captions.

Muon for matrices and AdamW for the rest, cosine schedule in each stage, bfloat16 with float32 masters. Minutes are of
the clock, beside other work; a run given `steps` instead of minutes is the same each time on one kind of processor.
{training.get("history", "")}
| stage | steps | minutes | pictures |
| --- | --- | --- | --- |
{stages}
"""


def _tasks(tasks: dict[str, dict[str, float]]) -> str:
    lines = [
        "Greedy answers that equal the truth as strings. `blank` asks the same of a white picture, `swapped` of",
        "another scene's picture (two fifths of the questions each), `majority` is always giving the commonest answer.",
        "",
        "| task | questions | accuracy | blank | swapped | majority | target |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for task, row in tasks.items():
        cells = [_number(row[key]) if key in row else "" for key in ("accuracy", "blank", "swapped", "majority")]
        target = _number(TARGETS[task]) if task in TARGETS and task not in {"text", "caption"} else ""
        lines.append(f"| {task} | {row['questions']:.0f} | {' | '.join(cells)} | {target} |")
    caption, text = tasks["caption"], tasks["text"]
    lines += [
        "",
        f"Text where there is text: whole string {_number(text['accuracy_where_text'])} (target {TARGETS['text']}), "
        f"characters {_number(text['characters'])}.",
        f"Caption phrases: F1 {_number(caption['phrase_f1'])} (target {TARGETS['caption']}), with a blank picture "
        f"{_number(caption['blank_phrase_f1'])}, with a swapped one {_number(caption['swapped_phrase_f1'])}.",
    ]
    return "\n".join(lines)


def _prompts(prompts: dict[str, float]) -> str:
    lines = ["Mean accuracy over colour, shape, count, position, presence and text.", ""]
    lines += ["| prompt | mean |", "| --- | --- |"]
    lines += [f"| {name} | {_number(value)} |" for name, value in prompts.items()]
    return "\n".join(lines)


def _other_hand(rows: dict[str, float]) -> str:
    lines = [
        "One to three shapes in pure colours on white, drawn without the world's code at 256 to 640 pixels.",
        "",
        "| question | accuracy |",
        "| --- | --- |",
    ]
    lines += [f"| {name} | {_number(value)} |" for name, value in rows.items()]
    return "\n".join(lines)


def _faults(faults: dict[str, dict[str, float]]) -> str:
    tasks = [key for key in faults["none"] if key != "mean"]
    lines = [
        f"| fault | mean | {' | '.join(tasks)} |",
        f"| --- | --- |{' --- |' * len(tasks)}",
    ]
    for name, row in faults.items():
        cells = [_number(row[task]) if task in row else "" for task in tasks]
        lines.append(f"| {name} | {_number(row['mean'])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _limits(results: Results) -> str:
    missed = [
        f"{task} {_number(reached(task, results['tasks'][task]))} instead of {_number(target)}"
        for task, target in TARGETS.items()
        if reached(task, results["tasks"][task]) < target
    ]
    lines = [
        "- Photographs, faces, documents, other languages, conversation, or any word outside its vocabulary of shapes.",
        "- More than five objects, objects that overlap, text longer than five characters or outside its 26.",
        "- Reasons: it answers in a word, a sentence of a fixed form, or a caption.",
        "- ImageNet's mean and std are within one hundredth of CLIP's, so that fault is invisible, as in any LLaVA.",
    ]
    tasks = results["tasks"]
    lines.append(
        "- Prompts with three to ten pictures are counted and read, but the ordinals are often confused: "
        f"what the n-th shows {_number(tasks['many_attribute']['accuracy'])}, which one shows it "
        f"{_number(tasks['which_image']['accuracy'])}."
    )
    lines.append(
        "- Asked how many images there are, it says 2 of a single picture: it was only asked so about several."
    )
    if missed:
        lines.append(f"- Targets that were missed: {'; '.join(missed)}.")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.3f}"
