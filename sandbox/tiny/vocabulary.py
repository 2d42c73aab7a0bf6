"""The tokenizer: byte-level BPE learned from the world's own sentences.

Runs of capitals and digits are split into single characters, so that reading a text is reading one character a token.
`USER:` and `ASSISTANT:` are tokens of their own, as the chat template of llava-1.5-hf places them.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sandbox.tiny.comparisons import MANY_TASKS, ORDINALS, PAIR_TASKS, ask_presence_of
from sandbox.tiny.questions import SENTENCE_SUFFIX, SHORT_SUFFIX, TASKS
from sandbox.tiny.scene import sample_scene

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BOS, EOS, IMAGE, PAD = 1, 2, 3, 4
"""Ids of `<s>`, `</s>`, `<image>` and `<pad>`; `<unk>` is 0."""

SYSTEM_PROMPTS = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the human's questions.",
    "A chat between a curious human and an artificial intelligence assistant.",
    "You are a helpful assistant.",
    "Answer briefly.",
)
"""System prompts met in training: Vicuna's in two lengths, and two plain ones."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' else ' ' }}{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' ' }}"
    "{% endfor %}{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + eos_token }}{% endgeneration %}{% endfor %}{% endif %}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
"""The template of llava-hf/llava-1.5-7b-hf, with the end token after an assistant's turn; content may be a string."""

_VOCABULARY = 766  # an upper bound: training ends earlier, when no pair is frequent enough
_CORPUS = 5000  # scenes


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Train the tokenizer; the same on every machine, in about ten seconds."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    single_characters = Regex(r"[A-Z0-9](?=[A-Z0-9])|(?<=[A-Z0-9])[A-Z0-9]")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(single_characters, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=["<unk>", "<s>", "</s>", "<image>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=20,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer.add_tokens(
        [AddedToken("USER:", normalized=False), AddedToken("ASSISTANT:", lstrip=True, normalized=False)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", BOS)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",  # noqa: S106
        bos_token="<s>",  # noqa: S106
        eos_token="</s>",  # noqa: S106
        pad_token="<pad>",  # noqa: S106
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
        model_max_length=1024,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


class Encoder:
    """Text to ids without special tokens added, remembered by text."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._encode = functools.lru_cache(maxsize=100_000)(self._fresh)

    def _fresh(self, text: str) -> tuple[int, ...]:
        return tuple(self._backend.encode(text, add_special_tokens=False).ids)

    def __call__(self, text: str) -> tuple[int, ...]:
        """Ids of the text; special tokens written out in it are recognised."""
        return self._encode(text)


def _corpus() -> Iterator[str]:
    """Sentences of the world, with the fixed phrases often enough to become single tokens per word."""
    rng = random.Random("vocabulary")
    for index in range(_CORPUS):
        scene = sample_scene(rng)
        for ask in TASKS.values():
            question = ask(rng, scene)
            if question is not None:
                yield f"{question.prompt} {question.answer}{SHORT_SUFFIX}{SENTENCE_SUFFIX} {question.sentence}"
        others = [scene, sample_scene(rng)]
        for compare in (*PAIR_TASKS.values(), *MANY_TASKS.values(), ask_presence_of):
            question = compare(rng, others)
            if question is not None:
                yield f"{question.prompt} {question.answer} {question.sentence}"
        yield f" in the {ORDINALS[index % 10]} image? There are {index % 11} images. There is no image."
        yield SYSTEM_PROMPTS[index % len(SYSTEM_PROMPTS)]
