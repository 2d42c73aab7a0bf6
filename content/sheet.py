"""Writes a question out as one Markdown text: everything that the pack holds of it, for interviewers and authors."""

from collections.abc import Iterable, Iterator

from content.schema import Level, Question, Tier


def show(question: Question) -> str:
    """Return all of a question as Markdown, rubric and model answer included; not for candidates."""
    return "\n\n".join(_sections(question)) + "\n"


def _sections(question: Question) -> Iterator[str]:
    yield f"# {question.id} {question.title}"
    yield (
        f"{question.level}, {question.band}. {question.category.capitalize()}, {question.minutes} minutes. "
        f"Tags: {', '.join(question.tags)}. Companies: {', '.join(question.companies)}."
    )
    yield question.statement
    yield "## What passes"
    yield _bullets(f"{level}: {_line(question, level)}" for level in Level)
    yield f"Senior: {question.looks.senior}"
    yield f"Staff adds: {question.looks.staff}"
    yield "## Rubric"
    titles = {source.id: source.title for source in question.sources}
    for criterion in question.criteria:
        yield f"### {criterion.text}"
        yield f"`{criterion.id}`, {criterion.tier}, {criterion.weight:g} points."
        if criterion.accept:
            yield f"Accepted: {', '.join(f'`{pattern}`' for pattern in criterion.accept)}"
        yield "Said as:\n\n" + _bullets(criterion.examples)
        yield "Wrong:\n\n" + _bullets(criterion.misconceptions)
        yield f"Ask when missed: {criterion.probe}"
        yield f"Sources: {'; '.join(titles.get(source, source) for source in criterion.sources)}."
    yield "## Model answer"
    for part in question.model_answer:
        yield part.text
        if part.covers:
            yield f"*Covers: {', '.join(part.covers)}.*"
    yield "## Hints"
    yield "\n".join(f"{i}. {hint.text} (costs {hint.cost})" for i, hint in enumerate(question.hints, 1))
    yield "## Follow-ups"
    yield _bullets(f"{follow_up.ask} Listen for: {follow_up.listen_for}" for follow_up in question.follow_ups)
    yield "## Facts for the interviewer"
    yield _bullets(f"{fact.about}: {fact.answer}" for fact in question.facts)
    yield f"## Exercise: {question.exercise.title} ({question.exercise.form})"
    yield question.exercise.statement
    if question.exercise.starter:
        yield f"```python\n{question.exercise.starter}\n```"
    yield "## Sources"
    yield _bullets(f"`{source.id}`: {source.title}. {source.ref}" for source in question.sources)


def _line(question: Question, level: Level) -> str:
    line = question.lines[level]
    parts = [f"{getattr(line, tier.value):.0%} of {tier}" for tier in Tier if getattr(line, tier.value)]
    return ", ".join(parts) or "anything"


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
