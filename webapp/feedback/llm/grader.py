"""The llm grader: a language model reads the answer, a few criteria at a time; code checks and counts.

Covered: answers of any length (one that doesn't fit is read in parts, and a criterion that any part meets is met),
replies that can't be read (asked again, criterion by criterion; then the criterion is not graded and the reason stands
there), a second reading as an alarm. Not covered: whether the model is right.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from content import Criterion, Question
from webapp.feedback.llm import prompt
from webapp.feedback.llm.calls import CallLog, MemoryLog
from webapp.feedback.llm.client import Client, Form, Reply
from webapp.feedback.llm.errors import PromptTooLong, ReplyUnreadable
from webapp.feedback.llm.passages import Passage, halves, passages, span_of
from webapp.feedback.llm.reply import Reading, read
from webapp.feedback.noise import ABOUT_ITSELF
from webapp.feedback.verdict import CriterionVerdict, Findings, Flag, UsedCall, Verdict

Progress = Callable[[int, int], None]

RULES = "1"  # how readings become verdicts; the prompt's part of the version is computed
CRITERIA_PER_CALL = 5
MOST_PASSAGES = 400  # in one call; some endpoints take no more than 1,000 values of an enum
CHARACTERS_PER_TOKEN = 3.5  # below that of English in any current vocabulary, so that prompts are rather split than cut
NO_MARKER = "0" * 16


class Sample(NamedTuple):
    """How a reading is drawn."""

    temperature: float
    seed: int | None


FIRST = Sample(0.0, None)
SECOND = Sample(0.7, 1)


def unwatched(done: int, total: int) -> None:
    """Tell nobody."""


class LlmGrader:
    """Grades with a language model. Safe to share between threads, but for what `progress` is told."""

    def __init__(
        self,
        client: Client,
        *,
        kind: str = "llm",
        calls: CallLog | None = None,
        criteria_per_call: int = CRITERIA_PER_CALL,
        second_sample: bool = False,
        progress: Progress = unwatched,
    ) -> None:
        """Make a grader; nothing is sent before it grades.

        Args:
            client: Asks the model.
            kind: `llm`, or `own_llm` for a model that a candidate brought.
            calls: Where calls are kept and found again; by default in memory.
            criteria_per_call: How many criteria the model reads at once.
            second_sample: Whether each criterion is read twice, and marked where the readings differ.
            progress: Told how many of how many criteria are read; what it raises ends the grading.
        """
        self.client = client
        self.kind = kind
        self.calls = calls if calls is not None else MemoryLog()
        self.criteria_per_call = criteria_per_call
        self.second_sample = second_sample
        self.progress = progress

    @property
    def model(self) -> str:
        """The model's name at its endpoint."""
        return self.client.model

    @property
    def version(self) -> str:
        """Changes with the prompt, the schema, the model, and how criteria are grouped and sampled."""
        shape = [rendered_sample(), self.model, self.criteria_per_call, SECOND if self.second_sample else None]
        return f"{RULES}-{digest(shape)[:8]}"

    def watched(self, calls: CallLog, progress: Progress) -> "LlmGrader":
        """Return the same grader with another log and other ears."""
        return LlmGrader(
            self.client,
            kind=self.kind,
            calls=calls,
            criteria_per_call=self.criteria_per_call,
            second_sample=self.second_sample,
            progress=progress,
        )

    def grade(self, question: Question, answer: str) -> Findings:
        """Return a verdict for each criterion.

        Raises:
            GraderAway: The endpoint gives no replies now. What was read until then is kept in the log.
        """
        return Sitting(self, question, answer).findings()


class Sitting:
    """One answer being read."""

    def __init__(self, grader: LlmGrader, question: Question, answer: str) -> None:
        self.grader, self.question, self.answer = grader, question, answer
        self.passages = passages(answer)
        self.used: list[UsedCall] = []

    def findings(self) -> Findings:
        """Read every criterion."""
        criteria, size = self.question.criteria, self.grader.criteria_per_call
        verdicts: list[CriterionVerdict] = []
        self.grader.progress(0, len(criteria))
        for start in range(0, len(criteria), size):
            group = criteria[start : start + size]
            first = self._read(group, self.passages, FIRST)
            second = self._read(group[::-1], self.passages, SECOND) if self.grader.second_sample else first
            verdicts += [self._verdict(criterion, first[criterion.id], second[criterion.id]) for criterion in group]
            self.grader.progress(len(verdicts), len(criteria))
        flags = {Flag.UNCERTAIN} if any(verdict.uncertain for verdict in verdicts) else set()
        if ABOUT_ITSELF.search(self.answer):
            flags.add(Flag.INSTRUCTIONS)
        return Findings(tuple(verdicts), tuple(sorted(flags)), tuple(self.used))

    def _read(
        self, group: Sequence[Criterion], part: Sequence[Passage], sample: Sample, *, with_model_answer: bool = True
    ) -> dict[str, Reading]:
        """Read some criteria in a part of the answer, in smaller pieces where it must be."""
        if len(part) > MOST_PASSAGES:
            return self._read_in_parts(group, part, sample, with_model_answer=with_model_answer)
        try:
            return self._ask(group, part, sample, with_model_answer=with_model_answer)
        except PromptTooLong:
            if len(group) > 1:
                middle = len(group) // 2
                return {
                    **self._read(group[:middle], part, sample, with_model_answer=with_model_answer),
                    **self._read(group[middle:], part, sample, with_model_answer=with_model_answer),
                }
            if with_model_answer:  # our own words go before the candidate's are divided
                return self._read(group, part, sample, with_model_answer=False)
            if len(part) > 1:
                return self._read_in_parts(group, part, sample, with_model_answer=False)
            return {group[0].id: Reading(None, reason="the model's context is too small for this criterion")}
        except ReplyUnreadable:
            return {c.id: self._read_alone(c, part, sample, with_model_answer=with_model_answer) for c in group}

    def _read_alone(
        self, criterion: Criterion, part: Sequence[Passage], sample: Sample, *, with_model_answer: bool
    ) -> Reading:
        """Read one criterion after a reply that couldn't be read."""
        try:
            return self._ask([criterion], part, sample, with_model_answer=with_model_answer)[criterion.id]
        except PromptTooLong:
            return self._read([criterion], part, sample, with_model_answer=False)[criterion.id]
        except ReplyUnreadable as error:
            return Reading(None, reason=str(error))

    def _read_in_parts(
        self, group: Sequence[Criterion], part: Sequence[Passage], sample: Sample, *, with_model_answer: bool
    ) -> dict[str, Reading]:
        readings = [
            self._read(group, half, sample, with_model_answer=with_model_answer) for half in halves(self.answer, part)
        ]
        return {criterion.id: merged(reading[criterion.id] for reading in readings) for criterion in group}

    def _ask(
        self, group: Sequence[Criterion], part: Sequence[Passage], sample: Sample, *, with_model_answer: bool
    ) -> dict[str, Reading]:
        """Make one call, or find it in the log.

        Raises:
            PromptTooLong: It doesn't fit.
            ReplyUnreadable: The reply can't be used; it is kept all the same.
        """
        grader, client = self.grader, self.grader.client
        endpoint = client.endpoint
        schema, most = prompt.schema(group, part), prompt.most_tokens(group)

        def messages(marker: str) -> list[dict[str, str]]:
            whole = len(part) == len(self.passages)
            return prompt.messages(
                self.question,
                group,
                self.answer,
                part,
                marker=marker,
                with_model_answer=with_model_answer,
                whole=whole,
            )

        asked = messages(NO_MARKER)
        key = digest([endpoint.identity, grader.model, grader.version, asked, schema, *sample])
        if kept := grader.calls.usable_call(key):
            self.used.append(UsedCall(kept.id, cached=True))
            return read(Reply(kept.reply, Form(kept.form), kept.finish_reason), group, part)
        characters = sum(len(message["content"]) for message in asked)
        if endpoint.context and characters / CHARACTERS_PER_TOKEN + most > endpoint.context:
            raise PromptTooLong
        sent = messages(prompt.new_marker())
        reply = client.ask(sent, schema, max_tokens=most, temperature=sample.temperature, seed=sample.seed)
        readings: dict[str, Reading] = {}
        problem: ReplyUnreadable | None = None
        try:
            readings = read(reply, group, part)
        except ReplyUnreadable as error:
            problem = error
        call = grader.calls.add_call(
            key=key,
            host=endpoint.host,
            model=grader.model,
            messages=sent,
            reply=reply.text or reply.refusal,
            form=reply.form,
            finish_reason=reply.finish_reason,
            tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out,
            cost=endpoint.cost(reply.tokens_in, reply.tokens_out),
            seconds=reply.seconds,
            error=str(problem) if problem else None,
        )
        self.used.append(UsedCall(call.id, cached=False))
        if problem:
            raise problem
        return readings

    def _verdict(self, criterion: Criterion, first: Reading, second: Reading) -> CriterionVerdict:
        """Return the verdict that one or two readings come to; where they differ it is uncertain and earns nothing."""
        uncertain = None not in (first.verdict, second.verdict) and first.verdict is not second.verdict
        reading = second if first.verdict is None or (uncertain and second.verdict is Verdict.MET) else first
        span = span_of(reading.evidence, self.passages)
        if uncertain:
            verdict: Verdict | None = Verdict.CANNOT_ASSESS
            reason = f"Two readings differ ({named(first)} and {named(second)}); a person should look."
        elif reading.verdict is Verdict.MET and span is None:
            verdict, reason = Verdict.CANNOT_ASSESS, "The model called it met without pointing at any words."
        else:
            verdict, reason = reading.verdict, reason_of(reading)
        return CriterionVerdict(
            criterion=criterion.id,
            verdict=verdict,
            quote=self.answer[slice(*span)] if span else None,
            reason=reason,
            start=span[0] if span else None,
            end=span[1] if span else None,
            advice=None if verdict is Verdict.MET else (first.advice or second.advice or None),
            uncertain=uncertain,
        )


def merged(readings: Iterable[Reading]) -> Reading:
    """Return what the readings of an answer's parts come to: met in any part is met."""
    listed = list(readings)
    for verdict in (Verdict.MET, None, Verdict.CANNOT_ASSESS):
        for reading in listed:
            if reading.verdict is verdict:
                return reading
    evidence = tuple(number for reading in listed for number in reading.evidence)
    return Reading(Verdict.UNMET, evidence, next((reading.advice for reading in listed if reading.advice), ""))


def reason_of(reading: Reading) -> str:
    """Return a reading's sentence."""
    if reading.verdict is None:
        return f"Not graded: {reading.reason}."
    return {
        Verdict.MET: "The model found it in these words.",
        Verdict.UNMET: "The model found it wrong or incomplete in these words."
        if reading.evidence
        else "The model did not find it.",
        Verdict.CANNOT_ASSESS: "The model could not tell.",
    }[reading.verdict]


def named(reading: Reading) -> str:
    """Return a reading's verdict for people."""
    return (reading.verdict or "not graded").replace("_", " ")


def digest(value: object) -> str:
    """Return the SHA-256 of a value's JSON, in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def rendered_sample() -> Mapping[str, object]:
    """Return prompt and schema for a question made of placeholders."""
    fields: dict[str, Any] = {"id": "id", "text": "text", "examples": ("example",), "misconceptions": ("wrong",)}
    criterion = Criterion.model_construct(**fields)
    asked: dict[str, Any] = {"title": "title", "statement": "statement", "model_answer": (criterion,)}
    question, part = Question.model_construct(**asked), passages("One sentence.")
    return {
        "messages": [
            prompt.messages(question, [criterion], "One sentence.", part, marker=NO_MARKER, whole=whole)
            for whole in (True, False)
        ],
        "schema": prompt.schema([criterion], part),
    }
