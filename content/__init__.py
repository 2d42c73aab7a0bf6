"""Questions as Markdown and YAML, and what reads and checks them."""

from content.lint import Grading, Problem, lint_packs
from content.live import LiveCatalog
from content.loader import BrokenContent, load_catalog, pack_folders, read_catalog
from content.samples import load_samples
from content.schema import (
    Catalog,
    Category,
    Criterion,
    Exercise,
    Fact,
    FollowUp,
    Form,
    Hint,
    Level,
    Line,
    Pack,
    Quality,
    Question,
    SampleAnswer,
    Source,
    Split,
    Tier,
)
from content.sheet import show

__all__ = [
    "BrokenContent",
    "Catalog",
    "Category",
    "Criterion",
    "Exercise",
    "Fact",
    "FollowUp",
    "Form",
    "Grading",
    "Hint",
    "Level",
    "Line",
    "LiveCatalog",
    "Pack",
    "Problem",
    "Quality",
    "Question",
    "SampleAnswer",
    "Source",
    "Split",
    "Tier",
    "lint_packs",
    "load_catalog",
    "load_samples",
    "pack_folders",
    "read_catalog",
    "show",
]
