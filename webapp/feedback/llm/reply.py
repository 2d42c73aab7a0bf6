"""Reads a model's reply: strictly, or not at all."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from content import Criterion
from webapp.feedback.llm.client import Reply
from webapp.feedback.llm.errors import ReplyUnreadable
from webapp.feedback.llm.passages import Passage
from webapp.feedback.llm.prompt import LONGEST_ADVICE
from webapp.feedback.verdict import Verdict

FENCED = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)


class Finding(BaseModel):
    """What a reply says about one criterion."""

    model_config = ConfigDict(strict=True)

    evidence: list[int]
    verdict: str
    advice: str = ""


class Reading(NamedTuple):
    """One criterion as a model read it; `verdict` is None if it wasn't graded, and `reason` says why."""

    verdict: Verdict | None
    evidence: tuple[int, ...] = ()
    advice: str = ""
    reason: str = ""


def read(reply: Reply, criteria: Sequence[Criterion], part: Sequence[Passage]) -> dict[str, Reading]:
    """Return the reading of each criterion.

    Raises:
        ReplyUnreadable: The reply is anything but whole and valid for every criterion asked for.
    """
    found = parsed(reply)
    numbers = {passage.number for passage in part}
    return {criterion.id: _reading(found, criterion, numbers) for criterion in criteria}


def parsed(reply: Reply) -> Mapping[str, Any]:
    """Return the reply's JSON object, also out of a code fence around all of it."""
    if reply.refusal or reply.finish_reason == "content_filter":
        raise ReplyUnreadable("the model refused")
    if reply.finish_reason == "no choices":
        raise ReplyUnreadable("the endpoint sent no reply")
    if not reply.text.strip():
        raise ReplyUnreadable("the reply was empty")
    if reply.finish_reason == "length":
        raise ReplyUnreadable("the reply was cut off at its limit")
    fenced = FENCED.match(reply.text)
    try:
        found = json.loads(fenced[1] if fenced else reply.text)
    except (ValueError, RecursionError):
        raise ReplyUnreadable("the reply was not JSON") from None
    if not isinstance(found, dict):
        raise ReplyUnreadable("the reply was not a JSON object")
    return found


def _reading(found: Mapping[str, Any], criterion: Criterion, numbers: set[int]) -> Reading:
    try:
        finding = Finding.model_validate(found[criterion.id])
        verdict = Verdict(finding.verdict)
    except KeyError:
        raise ReplyUnreadable(f"the reply says nothing about {criterion.id}") from None
    except (ValidationError, ValueError):
        raise ReplyUnreadable(f"the reply about {criterion.id} does not have the form asked for") from None
    if not numbers.issuperset(finding.evidence):
        raise ReplyUnreadable(f"the reply about {criterion.id} names passages that are not there")
    advice = "".join(c for c in " ".join(finding.advice.split()) if c.isprintable())
    # a sentence past its limit is left out, not cut: half an advice can say the opposite
    return Reading(verdict, tuple(finding.evidence), advice if len(advice) <= LONGEST_ADVICE else "")
