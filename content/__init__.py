"""Questions as Markdown and YAML, and what reads and checks them."""

from content.lint import Grading, Problem, lint_packs
from content.live import LiveCatalog
from content.loader import BrokenContent, load_catalog, pack_folders, read_catalog
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
    Question,
    Source,
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
    "Question",
    "Source",
    "Tier",
    "lint_packs",
    "load_catalog",
    "pack_folders",
    "read_catalog",
    "show",
]
