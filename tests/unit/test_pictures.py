import os
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from sandbox import BadInput, NotAnImage, SandboxSettings
from webapp.pictures import Drawing, Pictures, Thing, Upload
from webapp.store import NotFound

OWNER, STRANGER = "a" * 32, "b" * 32


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    return Pictures(tmp_path / "uploads", SandboxSettings(_env_file=None))


def photo(color: str = "red", side: int = 40, **options: object) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (side, side), color).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_an_upload_is_its_owners_alone(pictures: Pictures) -> None:
    source = pictures.keep(OWNER, photo())
    assert pictures.get(OWNER, source) == photo()
    with pytest.raises(NotFound):
        pictures.get(STRANGER, source)
    with pytest.raises(NotFound):
        pictures.shown(STRANGER, source)


def test_what_is_no_picture_is_refused_and_not_kept(pictures: Pictures, tmp_path: Path) -> None:
    with pytest.raises(NotAnImage):
        pictures.keep(OWNER, b"#!/bin/sh")
    assert pictures.count(OWNER) == 0


def test_a_shown_picture_carries_nothing_but_its_pixels(pictures: Pictures) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    shown = pictures.shown(OWNER, pictures.keep(OWNER, photo(exif=exif)))
    assert b"taken at home" not in shown
    assert Image.open(BytesIO(shown)).size == (40, 40)


def test_a_large_picture_is_shown_smaller_and_opened_whole(pictures: Pictures) -> None:
    source = pictures.keep(OWNER, photo(side=2000))
    assert Image.open(BytesIO(pictures.shown(OWNER, source))).size == (1024, 1024)
    assert pictures.get(OWNER, source) == photo(side=2000)


@pytest.mark.parametrize("source", ["", "upload:../../cookie.key", "upload:" + "0" * 64, "scene:-1", "drawn:{", "x:1"])
def test_a_source_that_names_nothing_is_not_found(pictures: Pictures, source: str) -> None:
    with pytest.raises(NotFound):
        pictures.get(OWNER, source)


def test_uploads_go_by_age_but_those_that_are_evidence(pictures: Pictures, tmp_path: Path) -> None:
    old, evidence, young = (pictures.keep(OWNER, photo(color)) for color in ("red", "green", "blue"))
    month_ago = datetime.now(UTC) - timedelta(days=31)
    for source in (old, evidence):
        path = tmp_path / "uploads" / OWNER / source.removeprefix("upload:")
        os.utime(path, (month_ago.timestamp(), month_ago.timestamp()))
    kept = {Upload(OWNER, evidence.removeprefix("upload:"))}
    assert pictures.remove_older(datetime.now(UTC) - timedelta(days=30), except_for=kept) == 1
    assert pictures.get(OWNER, evidence)
    assert pictures.get(OWNER, young)
    with pytest.raises(NotFound):
        pictures.get(OWNER, old)


def test_ones_uploads_can_be_removed_at_once_without_anothers(pictures: Pictures) -> None:
    mine, theirs = pictures.keep(OWNER, photo()), pictures.keep(STRANGER, photo())
    assert pictures.remove_all(OWNER, except_for=()) == 1
    assert pictures.get(STRANGER, theirs)
    with pytest.raises(NotFound):
        pictures.get(OWNER, mine)


def test_a_drawing_comes_back_from_its_source_as_the_same_picture(pictures: Pictures) -> None:
    drawing = Drawing(
        background="navy", things=(Thing(shape="star", color="yellow", size="large", cell=4),), text="CAT", row="top"
    )
    assert Drawing.of(drawing.source) == drawing
    again = pictures.get(OWNER, drawing.source)
    assert isinstance(again, Image.Image)
    assert again.tobytes() == drawing.picture().tobytes()


@pytest.mark.parametrize(
    ("drawing", "says"),
    [
        (Drawing(background="lava"), "There is no ground"),
        (Drawing(things=(Thing(shape="circle", color="white", size="small", cell=0),)), "can hardly be seen"),
        (Drawing(things=(Thing(shape="heart", color="red", size="small", cell=0),)), "knows no small red heart"),
        (Drawing(text="BOG"), "can't read B G O"),
        (Drawing(text="A"), "2 to 5 characters"),
        (
            Drawing(text="CAT", row="top", things=(Thing(shape="ring", color="red", size="small", cell=1),)),
            "takes the whole top row",
        ),
    ],
)
def test_what_the_world_does_not_have_is_said_in_words(drawing: Drawing, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        drawing.picture()
