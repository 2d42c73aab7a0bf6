"""How the calls of a language model read in the review."""

from collections.abc import Sequence
from typing import Any

from webapp.pages.wording import count
from webapp.store import CallOfGrade


def asked(calls: Sequence[CallOfGrade]) -> dict[str, Any] | None:
    """Return what a language model was asked and replied for a grade, None if it wasn't one's."""
    if not calls:
        return None
    paid = [kept.call for kept in calls if not kept.cached]
    costs = [call.cost for call in paid if call.cost is not None]
    tokens = (sum(call.tokens_in or 0 for call in paid), sum(call.tokens_out or 0 for call in paid))
    total = f"{count(len(calls), 'call')}, {tokens[0]:,} tokens read and {tokens[1]:,} written"
    if len(paid) < len(calls):
        total += f", {len(calls) - len(paid)} kept from before"
    if paid and len(costs) == len(paid):
        total += f", cost {sum(costs):.4f}"
    return {
        "total": total,
        "calls": [
            {"summary": call_summary(kept), "messages": kept.call.messages, "reply": kept.call.reply or "(empty)"}
            for kept in calls
        ],
    }


def call_summary(kept: CallOfGrade) -> str:
    """Return one line about a call."""
    call = kept.call
    facts = [call.model, call.host, f"{call.seconds:.1f} s", f"asked for {call.form}"]
    if call.tokens_in is not None and call.tokens_out is not None:
        facts.insert(2, f"{call.tokens_in:,} + {call.tokens_out:,} tokens")
    if kept.cached:
        facts.append("kept from before")
    if call.error:
        facts.append(f"not used: {call.error}")
    return ", ".join(facts)
