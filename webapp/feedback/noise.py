"""Noise: sentences that can't earn credit, whatever words they hold."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from content import Question
from webapp.feedback.embedding import load_embedder
from webapp.feedback.lexicon import FILLERS, FUNCTION_WORDS
from webapp.feedback.text import (
    LETTERS,
    STRUCTURE,
    VAGUE_STEMS,
    Prose,
    Span,
    glue_share,
    is_word_list,
    rows_of_terms,
    runs,
    stem,
    stems,
    vague_words,
    words,
)
from webapp.feedback.verdict import Flag
from webapp.feedback.wording import question_triples, triples

# A sentence of the rubrics has at least 2.0 letters to a word piece, 4.7 at the median; chance letters have about 1.6.
GIBBERISH_LETTERS_PER_PIECE = 2.0
LONGEST_WORD = 60  # letters; the longest in any dictionary of English has 45
REPEATED_SHARE = 0.8
STATING_HEADING = 8  # words
# In the rubrics' tersest examples one word in nine is a function word; lists of keywords have next to none. Sentences
# of fewer words than this are judged together with their short neighbours, and alone are never called a list.
LONG_SENTENCE = 16
LEAST_GLUE, LEAST_GLUE_OF_SENTENCE = 0.06, 0.1
LONGEST_ROW = 15  # bare terms
# prepositions and articles among the words; of SAF's sentences one in a thousand has 0.48, of its answers none 0.42
LONG_STRING, STRUNG_SENTENCE = 24, 0.48
LONG_ANSWER, STRUNG_ANSWER = 40, 0.45
# of the rubrics' examples none has as many vague words, of SAF's sentences one in 120
VAGUE_SHARE, MOSTLY_VAGUE = 0.35, 0.5  # the second where fewer than three words are vague
ABOUT_ITSELF = re.compile(
    r"\bthis (?:answer|response|submission|essay)\b"
    r"|\b(?:the|this) (?:candidate|examinee|applicant) (?:has|have|had|is|was|should|must|deserves?|fully|clearly"
    r"|(?:show|present|demonstrate|understand|explain)(?:s|ed)?)\b"
    r"|\b(?:all|every|each)(?: of the)? (?:\w+ ){0,2}(?:criteria|criterion|key points?|points?|requirements?)\b.{0,40}"
    r"\b(?:met|satisfied|fulfilled|covered|addressed|present|awarded)\b"
    r"|\b(?:is|are|has been|have been) (?:fully |thoroughly |explicitly )?addressed(?=\s*[.,;:]|$)"
    r"|\b(?:assign|award|give|grant|deserves?)\b.{0,30}\b(?:score|marks?|points|credit|grade)\b"
    r"|\b(?:note to|dear) (?:the )?(?:evaluator|grader|examiner|reviewer|interviewer|assistant|llm|ai)\b"
    r"|\b(?:re-?evaluate|deduct points)\b|\bas (?:addressed|satisfied|met)\b|\b(?:evaluator|grader|examiner)s?\b"
    r"|^\W*(?:please\s+)?(?:ignore|disregard|forget)\b.{0,40}\b(?:instructions?|rubric|prompt|above|previous)\b"
    r"|\b(?:full|maximum|max|perfect)\s+(?:\w+\s+)?(?:score|marks|points)\b|\b100\s+(?:marks|points)\b"
    r"|\b(?:mark|return|answer|reply|respond|score)\b.{0,30}\bmet\b|[\"']verdict[\"']|</?(?:answer|system|instructions?)>"
    r"|\bverdicts\b|\bcriterion\b|\bcalibration item\b|<\|im_|\[/?INST\]"
    r"|\b(?:correct|final|top)\s+grade\b|\bgrad(?:e|ing)\s+(?:it|this|notes)\b"
    r"|\bself-assessment\b|\b(?:grade|score):|\bwhat (?:was|is|has been) asked(?: for)?\b",
    re.IGNORECASE | re.MULTILINE,
)
# what is announced isn't said: "I would cover the projector" (but "I would explain that ..." goes on to say it)
ANNOUNCED = re.compile(
    r"^\W*(?:first(?:ly)?|then|next|also|finally|here|now|below|in this answer)?,?\s*(?:i|we|let me|let us|let['’]s)\b"
    r"(?:['’](?:d|ll|m)|\s+(?:would|will|shall|could|can|should|must|am|are|going|need|want|like|have|to|also|then|first|"
    r"next|now|briefly))*\s+"
    r"(?:(?:cover|discuss|address|go\s+(?:over|through|into)|touch\s+(?:on|upon)|speak\s+(?:about|of)|talk\s+about|outline|"
    r"elaborate|solve)(?:ing)?\b|(?:mention|explain|describe)(?:ing)?\b(?!\s+that\b))"
    r"|^\W*it\s+(?:is|was)\s+(?:all\s+)?about\b",
    re.IGNORECASE,
)
# "Final answer:", "As explained above."
SAYING_NOTHING = VAGUE_STEMS | {stem(word) for word in (*FILLERS, "explained", "final", "process", "above", "follows")}
SAME_FRAME, LEAST_FRAME = 3, 4  # sentences alike in all their function words, and how many of these they need


def noise(question: Question, answer: Prose, spans: Sequence[Span]) -> dict[Span, Flag]:
    """Return which sentences can't earn credit, whatever words they hold, and why."""
    text = answer.text
    found: dict[Span, Flag] = {}
    for span in spans:
        sentence = text[slice(*span)]
        if is_heading(answer, span):
            found[span] = Flag.HEADING
        elif ABOUT_ITSELF.search(sentence):
            found[span] = Flag.INSTRUCTIONS
        elif is_vague(sentence) or ANNOUNCED.search(sentence) or says_nothing(sentence):
            found[span] = Flag.VAGUE
        elif is_gibberish(sentence):
            found[span] = Flag.GIBBERISH
        elif repeats(question, sentence):
            found[span] = Flag.QUESTION_REPEATED
        elif is_word_list(sentence, LONG_SENTENCE, LEAST_GLUE_OF_SENTENCE) or is_strung(
            sentence, LONG_STRING, STRUNG_SENTENCE
        ):
            found[span] = Flag.WORD_LIST
    # what little stands beside a list is looked at more closely
    least_words = LONG_SENTENCE // 2 if Flag.WORD_LIST in found.values() else LONG_SENTENCE
    for run in runs([span for span in spans if span not in found], text, shorter_than=LONG_SENTENCE):
        # keywords with a full stop or a new line after each are a list all the same
        if is_word_list(" ".join(text[slice(*span)] for span in run), least_words, LEAST_GLUE):
            found |= dict.fromkeys(run, Flag.WORD_LIST)
    frames = Counter(map(frame, {" ".join(words(text[slice(*span)])) for span in spans}))
    for span in spans:
        own = frame(text[slice(*span)])
        # terms that are filled into the same sentence again and again
        if len(own) >= LEAST_FRAME and frames[own] >= SAME_FRAME:
            found.setdefault(span, Flag.WORD_LIST)
    for row in rows_of_terms(text, LONGEST_ROW):
        found |= {span: Flag.WORD_LIST for span in spans if span.start < row.end and row.start < span.end}
    left = [span for span in spans if span not in found]
    if is_strung(" ".join(text[slice(*span)] for span in left), LONG_ANSWER, STRUNG_ANSWER):
        found |= dict.fromkeys(left, Flag.WORD_LIST)
    return found


def is_vague(sentence: str) -> bool:
    """Tell whether a sentence names things and says nothing definite about them."""
    vague, listed = vague_words(sentence)
    return vague / max(1, listed) >= (VAGUE_SHARE if vague >= 3 else MOSTLY_VAGUE) and listed >= 3


def says_nothing(sentence: str) -> bool:
    """Tell whether a sentence only leads up to something."""
    content = set(stems(sentence))
    return bool(content) and content <= SAYING_NOTHING


def frame(sentence: str) -> tuple[str, ...]:
    """Return a sentence's function words in order: what is left of it without its subject."""
    return tuple(word for word in words(sentence) if word in FUNCTION_WORDS)


def is_strung(text: str, least_words: int, least_share: float) -> bool:
    """Tell whether a text is keywords strung together with prepositions and articles, and hardly a number."""
    share, listed = glue_share(text)
    return listed >= least_words and share >= least_share and len(STRUCTURE.findall(text)) < max(3, listed / 8)


def is_heading(answer: Prose, span: Span) -> bool:
    """Tell whether a sentence is a Markdown heading of a few words; a longer one may well state something."""
    within = any(start <= span.start and span.end <= end for start, end in answer.headings)
    return within and len(words(answer.text[slice(*span)])) < STATING_HEADING


def is_gibberish(sentence: str) -> bool:
    """Tell whether a sentence's words are chance letters or one endless word; acronyms are neither."""
    listed = [word for word in LETTERS.findall(sentence) if len(word) >= 4 and not word.isupper()]
    if any(len(word) > LONGEST_WORD for word in listed):
        return True
    if len(listed) < 3:
        return False
    return sum(map(len, listed)) / sum(map(pieces_in, listed)) < GIBBERISH_LETTERS_PER_PIECE


@lru_cache(maxsize=100_000)
def pieces_in(word: str) -> int:
    """Return how many pieces of the embedder's vocabulary a word is cut into."""
    (pieces,) = load_embedder().pieces([word])
    return len(pieces)


def repeats(question: Question, sentence: str) -> bool:
    """Tell whether a sentence of five words or more has nearly all its word triples from the question."""
    listed = words(sentence)
    if len(listed) < 5:
        return False
    known = question_triples(question)
    return sum(triple in known for triple in triples(listed)) / (len(listed) - 2) >= REPEATED_SHARE
