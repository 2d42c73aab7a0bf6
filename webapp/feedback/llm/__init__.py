"""The llm grader: an OpenAI-compatible endpoint, what it is asked, and how its replies are read."""

from webapp.feedback.llm.calls import CallLog, MemoryLog
from webapp.feedback.llm.client import Client, Form, Reply
from webapp.feedback.llm.endpoint import KEYLESS, Endpoint
from webapp.feedback.llm.errors import EndpointRefuses, GraderAway, NotPublic, PromptTooLong, ReplyUnreadable
from webapp.feedback.llm.grader import LlmGrader, Progress
from webapp.feedback.llm.local import LocalClient, LocalModel
from webapp.feedback.llm.public import check_public_url
from webapp.feedback.llm.settings import LlmSettings

__all__ = [
    "KEYLESS",
    "CallLog",
    "Client",
    "Endpoint",
    "EndpointRefuses",
    "Form",
    "GraderAway",
    "LlmGrader",
    "LlmSettings",
    "LocalClient",
    "LocalModel",
    "MemoryLog",
    "NotPublic",
    "Progress",
    "PromptTooLong",
    "Reply",
    "ReplyUnreadable",
    "check_public_url",
]
