"""Noise: sentences that can't earn credit, whatever words they hold."""

from collections.abc import Sequence

from content import Question
from webapp.feedback.embedding import load_embedder
from webapp.feedback.text import LETTERS, Span, is_word_list, runs, words
from webapp.feedback.verdict import Flag
from webapp.feedback.wording import question_triples, triples

# A sentence of the rubrics has at least 2.0 letters to a word piece, 4.7 at the median; chance letters have about 1.6.
GIBBERISH_LETTERS_PER_PIECE = 2.0
LONGEST_WORD = 60  # letters; the longest in any dictionary of English has 45
REPEATED_SHARE = 0.8
# In the rubrics' tersest examples one word in nine is a function word; lists of keywords have next to none. Sentences
# of fewer words than this are judged together with their short neighbours, and alone are never called a list.
LONG_SENTENCE = 16
LEAST_GLUE, LEAST_GLUE_OF_SENTENCE = 0.06, 0.1


def noise(question: Question, text: str, spans: Sequence[Span]) -> dict[Span, Flag]:
    """Return which sentences can't earn credit, whatever words they hold, and why."""
    found: dict[Span, Flag] = {}
    for span in spans:
        sentence = text[slice(*span)]
        if is_gibberish(sentence):
            found[span] = Flag.GIBBERISH
        elif repeats(question, sentence):
            found[span] = Flag.QUESTION_REPEATED
        elif is_word_list(sentence, LONG_SENTENCE, LEAST_GLUE_OF_SENTENCE):
            found[span] = Flag.WORD_LIST
    # what little stands beside a list is looked at more closely
    least_words = LONG_SENTENCE // 2 if Flag.WORD_LIST in found.values() else LONG_SENTENCE
    for run in runs([span for span in spans if span not in found], text, shorter_than=LONG_SENTENCE):
        # keywords with a full stop or a new line after each are a list all the same
        if is_word_list(" ".join(text[slice(*span)] for span in run), least_words, LEAST_GLUE):
            found |= dict.fromkeys(run, Flag.WORD_LIST)
    return found


def is_gibberish(sentence: str) -> bool:
    """Tell whether a sentence's words are chance letters or one endless word; acronyms are neither."""
    listed = [word for word in LETTERS.findall(sentence) if len(word) >= 4 and not word.isupper()]
    if any(len(word) > LONGEST_WORD for word in listed):
        return True
    if len(listed) < 3:
        return False
    return sum(map(len, listed)) / sum(map(len, load_embedder().pieces(listed))) < GIBBERISH_LETTERS_PER_PIECE


def repeats(question: Question, sentence: str) -> bool:
    """Tell whether a sentence of five words or more has nearly all its word triples from the question."""
    listed = words(sentence)
    if len(listed) < 5:
        return False
    known = question_triples(question)
    return sum(triple in known for triple in triples(listed)) / (len(listed) - 2) >= REPEATED_SHARE
