"""The LLaVA that ships sees: it answers about pictures that are drawn here."""

import pytest
from PIL import Image, ImageDraw

from sandbox import Request


def drawn(shape, color, box, size=(300, 200)):
    image = Image.new("RGB", size, "white")
    getattr(ImageDraw.Draw(image), shape)(box, fill=color)
    return image


@pytest.mark.parametrize("color", ["red", "blue", "green", "orange"])
def test_it_sees_the_color_of_a_circle(trained_engine, color):
    picture = drawn("ellipse", color, (110, 60, 190, 140))
    assert trained_engine.answer("What color is the circle?", [picture]).text == color


def test_it_tells_a_square_from_a_circle(trained_engine):
    shapes = {"circle": "ellipse", "square": "rectangle"}
    requests = [
        Request("What shape is the red object?", [drawn(shape, "red", (110, 60, 190, 140))])
        for shape in shapes.values()
    ]
    assert [reply.text for reply in trained_engine.answer_many(requests)] == list(shapes)


def test_it_answers_in_a_sentence_when_asked_to(trained_engine):
    picture = drawn("ellipse", "red", (110, 60, 190, 140))
    text = trained_engine.answer("What color is the circle? Answer in a full sentence.", [picture]).text
    assert text == "The circle is red."
