"""The gate: answers that need no grader, because they say nothing that could earn credit or can't be read.

Covered: nothing but marks or emoji, "I don't know" in its forms, the question repeated, words without a statement,
chance letters, shuffled words, another subject altogether, another language, code alone. Not covered: fluent prose
that is wrong or beside the point; that is the graders' work. When in doubt the gate lets an answer pass, for a false
alarm costs a candidate everything and a miss costs little: the graders find nothing in such an answer.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from content import Question
from webapp.feedback.lexicon import FILLERS, FOREIGN_WORDS, FUNCTION_WORDS
from webapp.feedback.noise import noise, repeats
from webapp.feedback.text import LETTERS, Prose, is_unordered, prose, sentences, stem, stems
from webapp.feedback.verdict import Flag, Gate
from webapp.feedback.wording import material_stems, question_stems

REFUSALS = re.compile(
    r"\b(?:do\s*n['’o]?t|did\s*n['’o]?t|can\s*n?['’o]?t|could\s*n['’o]?t)\s+(?:\w+\s+){0,2}?"
    r"(?:know|knew|remember|recall|answer|say|tell|think\s+of)\b"
    r"|\b(?:no|not\s+a|without\s+an?y?|have\s*n['’o]?t\s+an?y?)\s+(?:\w+\s+)?(?:idea|clue|answer|response|comment|knowledge)\b"
    r"|\b(?:not|n['’]t|never)\s+(?:\w+\s+)?(?:sure|certain|familiar|heard|learned|studied)\b"
    r"|\b(?:idk|dunno|pass|skip|tbd|n/?a)\b|\bempty\s+submission\b|\bgive\s+up\b|\bnothing\s+to\s+say\b",
    re.IGNORECASE,
)
FILLER_STEMS = frozenset(stem(word) for word in FILLERS)

# Of passages on a question, true or false, terse or colloquial, at least 65 % of the content words stand somewhere in
# its material; of recipes, football and history at most 38 %. Thin material (most questions have over 400 stems) can't
# tell.
OFF_TOPIC_SHARE = 0.4
ON_TOPIC_SHARE = 0.6
ENOUGH_MATERIAL = 300


def gate(question: Question, answer: str) -> Gate | None:
    """Return why an answer needs no grader, None if it goes to one.

    Returns:
        A gate with score 0 if the answer says nothing, with score None if it can't be read by these graders.
    """
    readable = prose(answer)
    if not any(character.isalnum() for character in answer):
        return Gate("empty", "The answer has no words in it.", 0)
    if not any(character.isalnum() for character in readable.text):
        return Gate("only_code", "The answer is only code or a diagram, which this grader can't read.", None)
    for check in CHECKS:
        found = check(question, readable)
        if found:
            return found
    return None


def other_language(question: Question, answer: Prose) -> Gate | None:
    """Stop answers that are mostly not in English; they are not graded, never scored 0."""
    letters = [character for character in answer.text if character.isalpha()]
    foreign = sum(ord(character) > 0x24F and not 0x370 <= ord(character) < 0x400 for character in letters)
    # a syllable or idea a character: a third of the letters is more than half of what is said
    if foreign >= 4 and foreign / len(letters) > 0.33:
        return _not_english("The answer is not in English")
    listed = [word.lower() for word in LETTERS.findall(answer.text)]
    english = sum(word in FUNCTION_WORDS for word in listed)
    for language, marks in FOREIGN_WORDS.items():
        hits = [word for word in listed if word in marks]
        if len(set(hits)) >= 3 and len(hits) > english and len(hits) / len(listed) >= 0.15:
            return _not_english(f"The answer looks like {language}")
    return None


def does_not_know(question: Question, answer: Prose) -> Gate | None:
    """Stop answers that only say that their author doesn't know, or say nothing at all."""
    own = set(stems(answer.text)) - FILLER_STEMS - question_stems(question)
    own = {word for word in own if not REFUSALS.fullmatch(word)}
    if own:
        return None
    if REFUSALS.search(answer.text):
        return Gate("dont_know", "The answer says that you don't know, and states nothing that could be graded.", 0)
    if not set(stems(answer.text)) - FILLER_STEMS:
        return Gate("no_statement", "The answer states nothing about the question.", 0)
    return None


def nothing_stated(question: Question, answer: Prose) -> Gate | None:
    """Stop answers of which every passage repeats the question, lists words or is no language at all."""
    spans = sentences(answer.text)
    found = noise(question, answer, spans)
    if repeats(question, answer.text):
        flag = Flag.QUESTION_REPEATED
    elif len(found) == len(spans):
        flag = Counter(found.values()).most_common(1)[0][0]
    else:
        return None
    reason, sentence = {
        Flag.QUESTION_REPEATED: ("question_repeated", "The answer repeats the question and adds nothing to it."),
        Flag.WORD_LIST: ("word_list", "The answer lists words and says nothing about how they belong together."),
        Flag.GIBBERISH: ("gibberish", "The answer has no readable words in it."),
        Flag.VAGUE: ("vague", "The answer says nothing definite about the question."),
        Flag.INSTRUCTIONS: ("instructions", "The answer only speaks of its own grading, and states nothing."),
        Flag.HEADING: ("headings", "The answer has only headings, and states nothing under them."),
    }[flag]
    return Gate(reason, sentence, 0)


def no_order(question: Question, answer: Prose) -> Gate | None:
    """Stop answers whose words seem to be shuffled; poor English can look so, so they aren't scored 0."""
    if not is_unordered(answer.text):
        return None
    sentence = "The words seem to stand in no order, so this can't be graded; it is kept, and a person can review it."
    return Gate("no_order", sentence, None)


def off_topic(question: Question, answer: Prose) -> Gate | None:
    """Stop answers of some length that have next to no word in common with all that is written about the question."""
    known = material_stems(question)

    def share(own: Sequence[str]) -> float:
        return sum(word in known for word in own) / len(own)

    own = stems(answer.text)
    if len(own) < 12 or len(known) < ENOUGH_MATERIAL or share(own) >= OFF_TOPIC_SHARE:
        return None
    passages = [stems(answer.text[slice(*span)]) for span in sentences(answer.text)]
    # one passage on the subject is an answer, however much else stands around it
    if any(len(passage) >= 3 and share(passage) >= ON_TOPIC_SHARE for passage in passages):
        return None
    return Gate("off_topic", "The answer is about another subject: hardly any of the question's terms occur in it.", 0)


CHECKS: tuple[Callable[[Question, Prose], Gate | None], ...] = (
    other_language,
    does_not_know,
    nothing_stated,
    no_order,
    off_topic,
)


def _not_english(what: str) -> Gate:
    return Gate("other_language", f"{what}, which can't be graded here; it is kept, and a person can review it.", None)
