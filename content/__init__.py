"""Questions as Markdown and YAML, and what reads and checks them."""

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

__all__ = [
    "BrokenContent",
    "Catalog",
    "Category",
    "Criterion",
    "Exercise",
    "Fact",
    "FollowUp",
    "Form",
    "Hint",
    "Level",
    "Line",
    "Pack",
    "Question",
    "Source",
    "Tier",
    "load_catalog",
    "pack_folders",
    "read_catalog",
]
