"""Where a language model is asked: an OpenAI-compatible endpoint with its key, limits and prices."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

KEYLESS = SecretStr("unused")  # the client wants a key; servers without one ignore it


@dataclass(frozen=True)
class Endpoint:
    """An endpoint.

    Attributes:
        base_url: Its address up to and with `/v1`.
        model: The model's name there.
        api_key: The key; it is sent to the endpoint, and shown and kept nowhere.
        timeout: Seconds without an answer after which a request is given up.
        context: Tokens that prompt and reply may have together, 0 if only the endpoint knows.
        price_in: Cost of a million tokens read, in any currency; None if unknown.
        price_out: Cost of a million tokens written.
        known_as: What stays the same where the address doesn't; by default the address.
        public_only: Whether the address came from a visitor, so that it may lead to public hosts alone.
    """

    base_url: str
    model: str
    api_key: SecretStr = KEYLESS
    timeout: float = 60.0
    context: int = 0
    price_in: float | None = None
    price_out: float | None = None
    known_as: str = ""
    public_only: bool = False

    @property
    def identity(self) -> str:
        """What tells this endpoint from others, over restarts."""
        return self.known_as or self.base_url

    @property
    def host(self) -> str:
        """The host's name, for people."""
        return urlsplit(self.base_url).hostname or self.base_url

    def cost(self, tokens_in: int | None, tokens_out: int | None) -> float | None:
        """Return what a call cost, None unless prices and token counts are known."""
        if None in (self.price_in, self.price_out, tokens_in, tokens_out):
            return None
        return (self.price_in * tokens_in + self.price_out * tokens_out) / 1e6  # type: ignore[operator]
