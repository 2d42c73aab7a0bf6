"""Polarity: which words of a text stand under a negation, and whether a passage denies what a rubric states.

A word list with a narrow scope: a negation reaches the next few content words of its clause; "it is not true that ..."
and "... is wrong" deny all that they stand with. Covered: those, "doesn't", "never", "without", "no". Not covered: a
false statement without a negating word, irony, or a denial in another sentence.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from webapp.feedback.text import stems

CLAUSE = re.compile(
    r"[.,;:!?()\n–—]+|\b(?:but|so|because|which|whereas|while|although|instead|rather|unlike)\b", re.IGNORECASE
)
NEGATION = re.compile(
    r"\b(?:not|never|no|nor|neither|none|nothing|nobody|without|cannot|hardly|\w+n['’]t|lacks?|fails?\s+to|instead\s+of|"
    r"rather\s+than)\b",
    re.IGNORECASE,
)
DENIAL = re.compile(
    r"\b(?:not\s+(?:\w+\s+)?(?:true|correct|right|the\s+case)|(?:false|untrue|wrong|incorrect|a\s+mistake|a\s+myth))\s+"
    r"(?:\w+\s+)?(?:that|to\s+(?:say|think|claim))\b"
    r"|\b(?:is|are|was|were)\s+(?:\w+\s+)?(?:false|untrue|wrong|incorrect|a\s+myth|nonsense)[.!]?$",
    re.IGNORECASE | re.MULTILINE,
)
REACH = 4  # content words


def denied(text: str) -> frozenset[str]:
    """Return the stems of the content words that stand under a negation."""
    found: set[str] = set()
    for clause in CLAUSE.split(text):
        for negation in NEGATION.finditer(clause):
            found.update(stems(clause[negation.end() :])[:REACH])
    return frozenset(found)


class Polarity(NamedTuple):
    """Which stems some texts state, and which they deny."""

    stated: frozenset[str]
    denied: frozenset[str]


def polarity_of(texts: Iterable[str]) -> Polarity:
    """Return the polarity of texts that say the same thing in several ways."""
    stated: set[str] = set()
    negated: set[str] = set()
    for text in texts:
        under = denied(text)
        stated.update(stem for stem in stems(text) if stem not in under)
        negated |= under
    return Polarity(frozenset(stated), frozenset(negated))


def is_disowned(passage: str) -> bool:
    """Tell whether a passage says of something that it isn't true."""
    return DENIAL.search(passage) is not None


def contradicted(passage: str, rubric: Polarity) -> frozenset[str]:
    """Return the stems that a passage denies though the rubric only ever states them.

    A passage that is denied as a whole contradicts every stem that it shares with the rubric.
    """
    if is_disowned(passage):
        return frozenset(stems(passage)) & rubric.stated
    return (denied(passage) & rubric.stated) - rubric.denied
