import pytest

from sandbox import BadOption, Request, SandboxSettings, load_engine
from sandbox.images import content_key
from sandbox.labs import caching
from sandbox.labs.caching import CACHES, new_picture, recolored, resized, turned
from webapp.pictures import sampled

MISS, HIT = (False, False, False), (True, True, True)


@pytest.fixture(scope="module")
def engine():
    engine = load_engine(settings=SandboxSettings(_env_file=None, sandbox_device="cpu", sandbox_compile=False))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def findings(engine):
    found = caching.differences(engine, sampled(11), "What color is the circle?")
    return {finding.probe.name: finding for finding in found}


def test_asked_again_every_layer_hits_and_every_logit_is_the_same(engine):
    cold, first, again = caching.ask_again(engine, Request("What is it?", [sampled(3)], max_new_tokens=3))
    assert (cold.hits, first.hits, again.hits) == ((None, None, None), MISS, HIT)
    assert cold.digest == first.digest == again.digest != ""
    assert again.seconds("pixels") == again.seconds("features") == 0 < cold.seconds("features")
    assert (len(cold.repeats), len(first.repeats), len(again.repeats)) == (4, 0, 4)


def test_without_a_picture_there_is_nothing_to_keep(engine):
    with pytest.raises(BadOption, match="Choose a picture"):
        next(caching.ask_again(engine, Request("Hello")))


def test_a_new_picture_is_new_every_time():
    assert content_key(new_picture(sampled(1))) != content_key(new_picture(sampled(1)))


def test_the_pictures_that_must_miss_have_equal_bytes():
    picture = new_picture(sampled(1))
    others = [resized(picture), recolored(picture), turned(picture)]
    assert {other.tobytes() for other in others} == {picture.tobytes()}
    assert len({content_key(each) for each in (picture, *others)}) == 4


@pytest.mark.parametrize(
    ("name", "hits"),
    [
        ("A new picture", MISS),
        ("The same again", HIT),
        ("Equal bytes, other size", MISS),
        ("Equal bytes, other palette", MISS),
        ("EXIF orientation", MISS),
        ("The same picture as a file", MISS),
        ("Another processor setting", (None, None, None)),
        ("Vision layer -3", (True, False, False)),
        ("Another question", HIT),
        ("Words before the picture", (True, True, False)),
        ("Drawn at temperature 1", HIT),
    ],
)
def test_what_changes_a_number_misses_and_nothing_else_does(findings, name, hits):
    assert findings[name].hits == hits
    assert findings[name].as_expected


def test_a_cache_that_is_switched_off_is_not_expected_to_hit():
    settings = SandboxSettings(_env_file=None, sandbox_device="cpu", sandbox_compile=False, sandbox_prefix_cache_mb=0)
    engine = load_engine(settings=settings)
    _, again, *_ = caching.differences(engine, sampled(11), "What color is the circle?")
    engine.close()
    assert dict(zip(CACHES, again.hits, strict=True)) == {"pixels": True, "features": True, "prefixes": False}
    assert again.as_expected
