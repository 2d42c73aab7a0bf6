"""Quotes: the words of an answer that a verdict rests on."""

import re

WHITESPACE = re.compile(r"\s+")


def check_quote(quote: str, answer: str) -> tuple[int, int] | None:
    """Return where a quote stands in an answer, None if it isn't there.

    The quote must occur verbatim, but for whitespace: any run of it equals any other. A quote without a letter or digit
    is evidence of nothing and is never found.

    Returns:
        Start and end (exclusive) of the first occurrence, in characters of `answer`.
    """
    words = WHITESPACE.split(quote.strip())
    if not any(character.isalnum() for character in quote):
        return None
    found = re.search(r"\s+".join(map(re.escape, words)), answer)
    return found.span() if found else None
