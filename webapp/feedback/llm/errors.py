"""What can go wrong between us and a language model, as facts; each carries its sentence for people."""


class GraderAway(Exception):
    """No verdict can be had now; the answer waits.

    Attributes:
        retry_after: Seconds after which the endpoint wants to be asked again, None if it didn't say.
    """

    def __init__(self, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class EndpointRefuses(GraderAway):
    """The endpoint doesn't accept the key, the model or the request; it will do so again until somebody acts."""


class PromptTooLong(Exception):
    """The prompt doesn't fit in the model's context; nothing was cut."""


class ReplyUnreadable(Exception):
    """A reply holds no verdicts; the sentence says why."""


class NotPublic(Exception):
    """A visitor's address leads to a host that isn't on the public internet."""
