"""How a run's trace reads: stages, shapes, times, the processed pictures and the prompt's tokens."""

import base64
import io

from PIL import Image

from sandbox import Reply

MOST_TOKENS = 300


def data_url(image: Image.Image) -> str:
    """Return a small picture as a `data:` address; as such it never lies in a folder that others can read."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def render_trace(reply: Reply) -> str:
    return ""


def figures(reply: Reply) -> str:
    return ""
