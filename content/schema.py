"""What a question is: every part that the interview, the graders and the reviewers rely on.

Questions are written as Markdown and YAML in a pack's folder (see `content.loader`); these models validate them.
All models are frozen: a loaded catalog is shared by every request.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
QuestionId = Annotated[str, StringConstraints(pattern=r"^[a-z]+\d{2}$")]


class Part(BaseModel):
    """Base of all content models: frozen, and closed to fields that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Category(StrEnum):
    """The kind of a question."""

    CONCEPTUAL = "conceptual"
    TECHNICAL = "technical"
    SYSTEM_DESIGN = "system design"
    DEBUGGING = "debugging"


class Level(StrEnum):
    """A seniority line that an answer can reach, lowest first."""

    MID_SENIOR = "Mid-Senior"
    SENIOR = "Senior"
    STAFF = "Staff"


class Tier(StrEnum):
    """How deep a criterion lies: a mid-senior says `core`, a senior `depth`, a staff engineer `staff`."""

    CORE = "core"
    DEPTH = "depth"
    STAFF = "staff"


class Form(StrEnum):
    """The form of a question's live exercise."""

    EXPLORER = "explorer"
    COMPARISON = "comparison"
    SWEEP = "sweep"
    CODE = "code"
    SIMULATOR = "simulator"
    REPAIR = "repair"


class Source(Part):
    """Where a fact can be checked: a paper, documentation, or a source file."""

    id: Slug
    title: Text
    ref: Text  # an address, an arXiv number, or package and path


class Criterion(Part):
    """One thing that a good answer states, worded as behaviour."""

    id: Slug
    text: Text
    tier: Tier
    weight: Annotated[float, Field(gt=0, le=100)]
    examples: Annotated[tuple[Text, ...], Field(min_length=3)]
    misconceptions: Annotated[tuple[Text, ...], Field(min_length=3)]
    accept: tuple[Text, ...] = ()  # regular expressions, any of which must occur where the criterion is a number
    probe: Text
    sources: Annotated[tuple[Slug, ...], Field(min_length=1)]


class Hint(Part):
    """A help that costs points of the 100."""

    text: Text
    cost: Annotated[int, Field(ge=1, le=20)]


class Fact(Part):
    """What the interviewer answers when a candidate asks for clarification."""

    about: Text
    answer: Text
    keywords: Annotated[tuple[Text, ...], Field(min_length=1)]


class FollowUp(Part):
    """A question that the interviewer asks after the answer, with what to listen for."""

    ask: Text
    listen_for: Text


class Line(Part):
    """The share of each tier's weight that an answer needs for a level, 0 to 1."""

    core: Annotated[float, Field(ge=0, le=1)] = 0
    depth: Annotated[float, Field(ge=0, le=1)] = 0
    staff: Annotated[float, Field(ge=0, le=1)] = 0


class AnswerPart(Part):
    """A passage of the model answer and the criteria that it meets."""

    text: Text
    covers: tuple[Slug, ...]


class Exercise(Part):
    """The live part of a question; `starter` is the code that a candidate begins with, for the form `code`."""

    form: Form
    title: Text
    statement: Text
    starter: str | None = None


class Looks(Part):
    """What an answer looks like at Senior, and what Staff adds."""

    senior: Text
    staff: Text


class Question(Part):
    """One interview question with everything that belongs to it."""

    id: QuestionId
    pack: Slug
    title: Text
    level: Level
    band: Text
    minutes: Annotated[int, Field(gt=0, le=180)]
    category: Category
    tags: Annotated[tuple[Slug, ...], Field(min_length=1)]
    companies: tuple[Text, ...]
    statement: Text
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)]
    lines: Mapping[Level, Line]
    looks: Looks
    model_answer: Annotated[tuple[AnswerPart, ...], Field(min_length=1)]
    hints: tuple[Hint, ...]
    follow_ups: tuple[FollowUp, ...]
    facts: tuple[Fact, ...]
    sources: tuple[Source, ...]
    exercise: Exercise

    def criterion(self, criterion_id: str) -> Criterion:
        """Return the criterion of that id; KeyError if there is none."""
        for criterion in self.criteria:
            if criterion.id == criterion_id:
                return criterion
        raise KeyError(criterion_id)

    def share(self, met: Iterable[str], tier: Tier) -> float:
        """Return the share, 0 to 1, of a tier's weight that the met criteria hold; 1 for a tier without criteria."""
        met = set(met)
        weights = [(c.weight, c.id in met) for c in self.criteria if c.tier is tier]
        total = sum(weight for weight, _ in weights)
        return sum(weight for weight, is_met in weights if is_met) / total if total else 1.0

    def line_reached(self, met: Iterable[str]) -> Level | None:
        """Return the highest level whose line the met criteria reach, None below the lowest."""
        met = set(met)
        reached = None
        for level in Level:
            line = self.lines[level]
            if any(self.share(met, tier) + 1e-9 < getattr(line, tier.value) for tier in Tier):
                break
            reached = level
        return reached

    def model_answer_text(self) -> str:
        """Return the model answer as one Markdown text."""
        return "\n\n".join(part.text for part in self.model_answer)


class Quality(StrEnum):
    """What a sample answer was written to be, worst first."""

    GAMING = "gaming"  # an attempt to get points without knowledge
    WRONG = "wrong"  # fluent, in the right words, and mostly false
    PARTIAL = "partial"
    TERSE = "terse"  # few words, and as right as a solid answer
    SOLID = "solid"
    STRONG = "strong"

    @property
    def rank(self) -> int:
        """Where it stands, from 0; a terse answer stands beside a solid one."""
        return {"gaming": 0, "wrong": 1, "partial": 2, "terse": 3, "solid": 3, "strong": 4}[self.value]


class Split(StrEnum):
    """What a sample answer may be used for: to develop graders, or only to test them."""

    DEVELOPMENT = "development"
    TEST = "test"


class SampleAnswer(Part):
    """An answer to a question, for measuring graders; `met` are the criteria it meets, None where nobody has said."""

    quality: Quality
    split: Split
    text: Text
    met: tuple[Slug, ...] | None = None


class Pack(Part):
    """A folder of questions with its purpose."""

    id: Slug
    title: Text
    purpose: Text
    target: Text
    companies: tuple[Text, ...]
    questions: tuple[QuestionId, ...]


class Catalog(Part):
    """All packs; `questions` keeps the packs' order."""

    packs: tuple[Pack, ...]
    questions: Mapping[str, Question]
