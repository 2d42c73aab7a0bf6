"""What a grader says about an answer, and how a score follows from it.

A grader gives one verdict for each criterion. The score is computed here, from the criteria's weights, and never asked
of a grader; and a verdict `met` counts only with words of the answer that were found in it verbatim.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from content import Question
from webapp.feedback.quote import check_quote


class Verdict(StrEnum):
    """What was found for one criterion."""

    MET = "met"
    UNMET = "unmet"
    CANNOT_ASSESS = "cannot_assess"


@dataclass(frozen=True)
class CriterionVerdict:
    """One criterion's verdict.

    Attributes:
        criterion: The criterion's id.
        verdict: What was found; None if it could not be graded, for the reason that stands there.
        quote: The answer's own words that the verdict rests on, None if there are none.
        reason: A sentence for the candidate.
        start: Where the quote begins in the answer, in characters; None without a quote.
        end: Where the quote ends, exclusive; None without a quote.
        coverage: How close the answer comes to the criterion, 0 to 1, from graders that estimate it.
        advice: A sentence about what to add or correct, from graders that give one.
        uncertain: Whether two readings of the same grader differ.
    """

    criterion: str
    verdict: Verdict | None
    quote: str | None
    reason: str
    start: int | None = None
    end: int | None = None
    coverage: float | None = None
    advice: str | None = None
    uncertain: bool = False


class Gate(NamedTuple):
    """Why an answer was not given to a grader.

    `score` is 0 where the answer says nothing that could earn credit, and None where nobody can tell by these means.
    """

    reason: str
    sentence: str
    score: float | None


class Flag(StrEnum):
    """Something about an answer that a reader of its feedback should know."""

    NEGATION = "negation"
    WORD_LIST = "word_list"
    QUESTION_REPEATED = "question_repeated"
    GIBBERISH = "gibberish"
    VAGUE = "vague"
    HEADING = "heading"
    ASKED = "asked"
    DOUBTFUL = "doubtful"
    CODE_NOT_READ = "code_not_read"
    COPIES_RUBRIC = "copies_rubric"
    INSTRUCTIONS = "instructions"
    VERY_SHORT = "very_short"
    UNCERTAIN = "uncertain"

    @property
    def sentence(self) -> str:
        """What the flag says, for people."""
        return FLAG_SENTENCES[self]


FLAG_SENTENCES = {
    Flag.NEGATION: "A passage may deny what its criterion states; it earns nothing until a person has read it.",
    Flag.WORD_LIST: "Passages that only list words were left out.",
    Flag.QUESTION_REPEATED: "Passages that repeat the question were left out.",
    Flag.GIBBERISH: "Passages without readable words were left out.",
    Flag.VAGUE: "Passages that say nothing definite were left out.",
    Flag.HEADING: "Headings were left out; they name a subject and state nothing about it.",
    Flag.ASKED: "Questions were left out; they state nothing.",
    Flag.DOUBTFUL: (
        "As a whole the answer is nearer to the rubric's misconceptions than to its examples, so passages have to be "
        "closer to count."
    ),
    Flag.CODE_NOT_READ: "Code and diagrams were left out; this grader reads prose, and comments in code.",
    Flag.COPIES_RUBRIC: "Passages in the rubric's own words were left out; a person has to read them.",
    Flag.INSTRUCTIONS: "A passage speaks of its own grading; it earns nothing and was not followed.",
    Flag.VERY_SHORT: "The answer has fewer than three words, so the estimate rests on little.",
    Flag.UNCERTAIN: "Two readings of the same model differ on a criterion; it earns nothing until a person has looked.",
}


class GraderName(NamedTuple):
    """Which grader it was; scores of different kinds are never mixed in one trend."""

    kind: str
    model: str
    version: str


class UsedCall(NamedTuple):
    """A call of a language model that a grade rests on; `cached` if it was made and paid for before."""

    call_id: str
    cached: bool


class Findings(NamedTuple):
    """What a grader returns: a verdict for each criterion, flags, and the calls that they rest on."""

    verdicts: tuple[CriterionVerdict, ...]
    flags: tuple[Flag, ...] = ()
    calls: tuple[UsedCall, ...] = ()


class Grader(Protocol):
    """What grades an answer."""

    @property
    def kind(self) -> str:
        """The kind, as `describe` knows it."""

    @property
    def model(self) -> str:
        """The model behind it."""

    @property
    def version(self) -> str:
        """Changes whenever the same answer could get another verdict."""

    def grade(self, question: Question, answer: str) -> Findings:
        """Return a verdict for each criterion; raise if none can be had now, so that the answer waits."""


@dataclass(frozen=True)
class Feedback:
    """The feedback on one answer.

    Attributes:
        question: The question's id.
        score: 0 to 100, the weight of the criteria that are met; None if the answer, or any of its criteria, could not
            be graded.
        unclear: The weight, on the same scale, of the criteria that could not be assessed: the score lies between
            `score` and `score + unclear`.
        grader: Which grader it was.
        verdicts: One for each criterion, in the rubric's order.
        gate: Why no grader saw the answer, None if one did.
        flags: What a reader should know.
        calls: The calls of a language model that the verdicts rest on.
    """

    question: str
    score: float | None
    unclear: float
    grader: GraderName
    verdicts: tuple[CriterionVerdict, ...]
    gate: Gate | None = None
    flags: tuple[Flag, ...] = ()
    calls: tuple[UsedCall, ...] = ()


def settle(question: Question, grader: Grader, findings: Findings, answer: str) -> Feedback:
    """Check a grader's findings against the answer and compute the score.

    A `met` whose quote isn't in the answer becomes `cannot_assess`, and so does a criterion that the grader left out.
    Verdicts on criteria that the question doesn't have are dropped. A criterion that was not graded leaves the answer
    without a score: counting it as missed would take points that nobody has judged.
    """
    given = {verdict.criterion: verdict for verdict in reversed(findings.verdicts)}
    verdicts = tuple(
        _with_checked_quote(given[criterion.id], answer)
        if criterion.id in given
        else CriterionVerdict(criterion.id, Verdict.CANNOT_ASSESS, None, "The grader gave no verdict.")
        for criterion in question.criteria
    )
    graded = all(verdict.verdict is not None for verdict in verdicts)
    return Feedback(
        question=question.id,
        score=_share(question, verdicts, Verdict.MET) if graded else None,
        unclear=_share(question, verdicts, Verdict.CANNOT_ASSESS),
        grader=GraderName(grader.kind, grader.model, grader.version),
        verdicts=verdicts,
        flags=findings.flags,
        calls=findings.calls,
    )


def gated(question: Question, grader: Grader, gate: Gate) -> Feedback:
    """Return the feedback on an answer that a gate stopped."""
    verdict = Verdict.CANNOT_ASSESS if gate.score is None else Verdict.UNMET
    verdicts = tuple(CriterionVerdict(c.id, verdict, None, gate.sentence) for c in question.criteria)
    return Feedback(
        question=question.id,
        score=gate.score,
        unclear=_share(question, verdicts, Verdict.CANNOT_ASSESS),
        grader=GraderName(grader.kind, grader.model, grader.version),
        verdicts=verdicts,
        gate=gate,
    )


def _with_checked_quote(verdict: CriterionVerdict, answer: str) -> CriterionVerdict:
    found = check_quote(verdict.quote, answer) if verdict.quote else None
    if found:
        # a grader that knows where its quote lies may mean another place than the first
        place = verdict.start, verdict.end
        start, end = place if answer[slice(*place)] == verdict.quote and None not in place else found
        return replace(verdict, quote=answer[start:end], start=start, end=end)
    if verdict.verdict is Verdict.MET:
        reason = "The words given as evidence are not in the answer, so this is not counted."
        return replace(verdict, verdict=Verdict.CANNOT_ASSESS, quote=None, reason=reason, start=None, end=None)
    return replace(verdict, quote=None, start=None, end=None)


def _share(question: Question, verdicts: Iterable[CriterionVerdict], verdict: Verdict) -> float:
    """Return the weight of the criteria with that verdict, 0 to 100."""
    weight = sum(question.criterion(v.criterion).weight for v in verdicts if v.verdict is verdict)
    return round(100 * weight / sum(criterion.weight for criterion in question.criteria), 2)
