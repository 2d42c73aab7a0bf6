"""Quotes: the words of an answer that a verdict rests on."""

import re

WHITESPACE = re.compile(r"\s+")


def check_quote(quote: str, answer: str) -> tuple[int, int] | None:
    """Return where a quote stands in an answer, None if it isn't there.

    The quote must occur verbatim, but for whitespace: any run of it equals any other. A quote without a letter or digit
    is evidence of nothing and is never found.

    Returns:
        Start and end (exclusive), in characters of `answer`, of the first occurrence to the letter, else of the first
        with other whitespace.
    """
    words = WHITESPACE.split(quote.strip())
    if not any(character.isalnum() for character in quote):
        return None
    start = answer.find(quote.strip())
    if start >= 0:
        return start, start + len(quote.strip())
    found = re.search(r"\s+".join(map(re.escape, words)), answer)
    return found.span() if found else None
