"""What a kept run says of how the model was asked, so that it can be asked again."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox import BadOption, Reply, Request
from webapp.pictures import Pictures
from webapp.store import Run

if TYPE_CHECKING:
    from sandbox import Engine


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
    def of(cls, settings: Mapping[str, Any]) -> Asked:
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
            user=user_id,
            temperature=self.temperature,
            seed=self.seed,
            max_new_tokens=self.max_new_tokens,
            feature_layer=self.feature_layer,
            **more,
        )

    def repeatable(self, reply: Reply) -> Asked:
        """Return it with the seed that was drawn, so that the same tokens come again."""
        return self.model_copy(update={"seed": reply.trace.seed}) if self.temperature else self


def outcome(reply: Reply) -> dict[str, Any]:
    """Return a reply for a run's figures."""
    return {"text": reply.text, "tokens": list(reply.tokens), "trace": reply.trace.summary()}


def receipt_of(reply: Reply) -> str | None:
    """Return a reply's receipt for a run, as JSON; None where the engine gave none."""
    receipt = reply.trace.receipt
    return json.dumps(receipt.summary()) if receipt else None


def repeated(run: Run, reply: Reply) -> str:
    """Return, in a sentence, how a repetition's reply stands to the run that it repeats."""
    if reply.text != run.figures.get("text"):
        return "Another answer came this time."
    before, after = (json.loads(each) if each else None for each in (run.receipt, receipt_of(reply)))
    if before is None or after is None:
        return "The same answer came again."
    if before == after:
        return "The same answer came again, with an equal receipt: all its logits are the same, bit for bit."
    apart = ", ".join(sorted(name for name in before if before[name] != after.get(name)))
    return f"The same answer came again; the receipts differ in {apart}."


def tensors(run: Run, engine: Engine, pictures: Pictures) -> bytes:
    """Return what every stage gave out, as an npz file: one array a stage, or `stage_0`, `stage_1` for each picture.

    Nothing of it was kept with the run; the model is asked again.

    Raises:
        NotFound: A picture is gone.
        BadOption: The run was made with another model, or its settings are of another form.
    """
    made_by = run.figures.get("trace", {}).get("model")
    if made_by != engine.checkpoint.name:
        raise BadOption(f"This run was made with {made_by}; its tensors can't be made with {engine.checkpoint.name}.")
    request = Asked.of(run.settings).request(pictures, run.user_id, keep=True)
    arrays: dict[str, np.ndarray] = {}
    for stage, output in engine.answer_many([request])[0].trace.arrays.items():
        if isinstance(output, np.ndarray):
            arrays[stage] = output
        else:
            arrays.update({f"{stage}_{index}": array for index, array in enumerate(output)})
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
