"""What can go wrong, each with a sentence for people as its text.

`BadInput` is for what a person gave and can change; `EngineFailed` is for the host. Anything else is a fault of ours.
"""


class BadInput(Exception):
    """Base of everything that a person can mend; `str()` says what is wrong and what to do."""


class NotAnImage(BadInput):
    """No supported picture format is in the file."""


class TruncatedImage(BadInput):
    """The file begins as a picture but can't be decoded to its end."""


class ImageTooLarge(BadInput):
    """More pixels than are allowed, by the file's own header."""


class ImageTooNarrow(BadInput):
    """One side is so much longer than the other that resizing by the shorter one would fill the memory."""


class TooManyImages(BadInput):
    """More pictures than one prompt may have."""


class ImageCountMismatch(BadInput):
    """The prompt's placeholders and the pictures differ in number."""


class PromptEmpty(BadInput):
    """Nothing is asked."""


class PromptTooLong(BadInput):
    """More characters than are allowed, or more tokens than the model can read."""


class BadOption(BadInput):
    """An option is outside its range, or names a stage or layer that isn't there."""


class StageFailed(BadInput):
    """The function in a stage's place raised, or returned something that the next stage can't take."""


class OutOfMemory(BadInput):
    """The machine's memory doesn't hold this request; others go on."""


class Stopped(BadInput):
    """Somebody stopped the answer before it began."""


class EngineFailed(Exception):
    """The model can't be loaded; `str()` says why and what the host can do."""


class EngineNotReady(EngineFailed):
    """The model is still loading."""


class EngineBusy(EngineFailed):
    """Too many requests wait already."""


class StagesNotVisible(EngineFailed):
    """What is asked for needs a model in this process, and answers come from a server."""


class ServerFailed(EngineFailed):
    """The server that answers can't be reached, refuses the key, or is broken."""


class ServerRefused(BadInput):
    """The server that answers doesn't take this prompt."""
