"""What a kept run says of how the model was asked, so that it can be asked again."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox import BadOption, Reply, Request
from webapp.pictures import Pictures


class Asked(BaseModel):
    """A prompt, its pictures and how it is answered, as it stands in a run's settings."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: str = ""
    pictures: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int | None = None
    max_new_tokens: int | None = None
    feature_layer: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Asked":
        """Read a run's settings; what else they hold is passed over. BadOption if they aren't of this form."""
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            raise BadOption("This run can't be repeated here: its settings are of another form.") from error

    def settings(self) -> dict[str, Any]:
        """Return it for a run's settings."""
        return self.model_dump(mode="json")

    def request(self, pictures: Pictures, user_id: str, **more: Any) -> Request:
        """Return the engine's request.

        Raises:
            NotFound: A picture is gone, or another person's.
            BadInput: An option is outside its range.
        """
        return Request(
            self.prompt,
            pictures.get_all(user_id, self.pictures),
            temperature=self.temperature,
            seed=self.seed,
            max_new_tokens=self.max_new_tokens,
            feature_layer=self.feature_layer,
            **more,
        )

    def repeatable(self, reply: Reply) -> "Asked":
        """Return it with the seed that was drawn, so that the same tokens come again."""
        return self.model_copy(update={"seed": reply.trace.seed}) if self.temperature else self


def outcome(reply: Reply) -> dict[str, Any]:
    """Return a reply for a run's figures."""
    return {"text": reply.text, "trace": reply.trace.summary()}
