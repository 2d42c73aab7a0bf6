import os
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from random_llava import clip_tower, save_random_llava

from sandbox import SandboxSettings, load_engine
from sandbox.settings import TINY_LLAVA


@pytest.fixture(scope="session")
def settings():
    return SandboxSettings(_env_file=None, sandbox_model="", sandbox_device="cpu")


@pytest.fixture(scope="session")
def random_llava(tmp_path_factory):
    """The folder of a LLaVA with random weights: CLIP and Llama, layer -2 without the class token."""
    folder = tmp_path_factory.mktemp("llava")
    return save_random_llava(folder, tower=clip_tower(), kind="llama", layer=-2, strategy="default")


@pytest.fixture(scope="session")
def engine(random_llava, settings):
    engine = load_engine(random_llava, settings=settings)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def trained_engine(settings):
    """The LLaVA that ships; where it isn't trained yet, the one that SANDBOX_MODEL names."""
    model = TINY_LLAVA if TINY_LLAVA.is_dir() else os.environ.get("SANDBOX_MODEL")
    if not model:
        pytest.skip("there are no trained weights: sandbox/weights/tiny-llava is missing")
    engine = load_engine(Path(model), settings=settings)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def pictures():
    """Ten different pictures of different sizes."""
    colors = ["red", "blue", "green", "black", "orange", "purple", "gray", "cyan", "pink", "brown"]
    drawn = []
    for number, color in enumerate(colors):
        image = Image.new("RGB", (60 + 17 * number, 90 - 5 * number), "white")
        ImageDraw.Draw(image).ellipse((5 + 3 * number, 10, 40 + 9 * number, 44), fill=color)
        drawn.append(image)
    return drawn
