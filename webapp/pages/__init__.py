"""The pages: Gradio components over the rules; no rule and no SQL stands here."""

from webapp.pages.candidate import candidate_pages
from webapp.pages.frame import HEAD
from webapp.pages.reviewer import review_pages
from webapp.pages.sandbox import sandbox_pages
from webapp.pages.theme import theme

__all__ = ["HEAD", "candidate_pages", "review_pages", "sandbox_pages", "theme"]
