"""What is written about a question, as stems and word triples."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from content import Question
from webapp.feedback.text import stems, words


def triples(listed: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Return each word with the two that follow it."""
    return zip(listed, listed[1:], listed[2:], strict=False)


@lru_cache(maxsize=256)
def _triple_set(text: str) -> frozenset[tuple[str, str, str]]:
    return frozenset(triples(words(text)))


def question_triples(question: Question) -> frozenset[tuple[str, str, str]]:
    """Return the word triples of what the candidate read."""
    return _triple_set(asked(question))


@lru_cache(maxsize=256)
def _stem_set(text: str) -> frozenset[str]:
    return frozenset(stems(text))


def asked(question: Question) -> str:
    """Return what the candidate read."""
    return f"{question.title}\n{question.statement}"


def question_stems(question: Question) -> frozenset[str]:
    """Return the stems of what the candidate read."""
    return _stem_set(asked(question))


def material_stems(question: Question) -> frozenset[str]:
    """Return the stems of all that is written about the question."""
    parts = [question.title, question.statement, question.model_answer_text()]
    for criterion in question.criteria:
        parts += [criterion.text, criterion.probe, *criterion.examples, *criterion.misconceptions]
    for fact in question.facts:
        parts += [fact.about, fact.answer]
    parts += [hint.text for hint in question.hints]
    return _stem_set("\n".join(parts))
