"""What was computed for equal pictures and prompts is used again, and never for others."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from sandbox import SandboxSettings, load_engine
from sandbox.cache import ByteCache
from sandbox.images import content_key

PATIENCE = 60  # seconds


@pytest.fixture
def fresh(engine):
    engine.clear_caches()
    return engine


def uses(reply):
    return {use.name: (use.hits, use.misses) for use in reply.trace.caches}


def test_the_same_question_again_hits_every_cache_and_has_the_same_numbers(fresh, pictures):
    first, again = (fresh.answer("What?", pictures[:2], max_new_tokens=6) for _ in range(2))
    assert uses(first) == {"pixels": (0, 2), "features": (0, 2), "prefixes": (0, 1)}
    assert uses(again) == {"pixels": (2, 0), "features": (2, 0), "prefixes": (1, 0)}
    bypassed = fresh.answer("What?", pictures[:2], max_new_tokens=6, cache=False)
    assert bypassed.trace.caches == ()
    assert first.trace.receipt == again.trace.receipt == bypassed.trace.receipt
    assert all(use.saved_seconds > 0 for use in again.trace.caches)
    assert "from the cache" in again.trace.stage("encode").note
    for name in ("preprocess", "encode", "select", "reduce", "project", "merge"):
        assert again.trace.stage(name).output.shape == bypassed.trace.stage(name).output.shape


def test_another_question_about_the_same_picture_shares_the_prompt_up_to_it(fresh, pictures):
    fresh.answer("What?", pictures[:1], max_new_tokens=2)
    cold = fresh.answer("And how many?", pictures[:1], max_new_tokens=6, cache=False)
    warm = fresh.answer("And how many?", pictures[:1], max_new_tokens=6)
    assert uses(warm) == {"pixels": (1, 0), "features": (1, 0), "prefixes": (1, 0)}
    assert warm.trace.receipt == cold.trace.receipt


def test_a_picture_among_others_hits_what_it_left_alone(fresh, pictures):
    fresh.answer("What?", pictures[1:2], max_new_tokens=2)
    together = fresh.answer("What?", pictures[:3], max_new_tokens=6)
    assert uses(together) == {"pixels": (1, 2), "features": (1, 2), "prefixes": (0, 1)}
    assert together.trace.receipt == fresh.answer("What?", pictures[:3], max_new_tokens=6, cache=False).trace.receipt


def test_a_prompt_without_pictures_is_not_cached(fresh):
    assert fresh.answer("What?", max_new_tokens=2).trace.caches == ()


@pytest.mark.parametrize("stage", ["open", "preprocess", "encode", "select", "reduce", "project", "prompt", "merge"])
def test_a_replaced_stage_neither_fills_nor_reads_what_comes_after_it(fresh, pictures, stage):
    from sandbox.stages import encode, merge, preprocess, project, prompt

    checkpoint = fresh.checkpoint
    own = {
        "open": lambda images: [image.convert("L").convert("RGB") for image in images],
        "preprocess": lambda images: -preprocess.preprocess(images, checkpoint.processor.image_processor),
        "encode": lambda pixels: -encode.encode(pixels, checkpoint, -2),
        "select": lambda hidden: hidden[:, :-1],
        "reduce": lambda features: [rows[::-1] for rows in features],
        "project": lambda features: [-rows for rows in project.project(features, checkpoint)],
        "prompt": lambda text, counts: prompt.prompt(text.upper(), counts, checkpoint),
        "merge": lambda ids, embeddings, features: -merge.merge(ids, embeddings, features, checkpoint.image_token),
    }
    expected = fresh.answer("what?", pictures[:1], max_new_tokens=6, cache=False)
    changed = fresh.answer("what?", pictures[:1], max_new_tokens=6, replace={stage: own[stage]}, cache=False)
    assert changed.trace.receipt.logits != expected.trace.receipt.logits
    fresh.answer("what?", pictures[:1], max_new_tokens=6, replace={stage: own[stage]})  # must leave nothing behind
    normal = fresh.answer("what?", pictures[:1], max_new_tokens=6)
    assert normal.trace.receipt == expected.trace.receipt
    again = fresh.answer("what?", pictures[:1], max_new_tokens=6, replace={stage: own[stage]})  # must take nothing
    assert again.trace.receipt == changed.trace.receipt
    assert "prefixes" not in uses(again)


def test_a_function_that_writes_into_its_input_spoils_no_cache(fresh, pictures):
    expected = fresh.answer("What?", pictures[:1], max_new_tokens=6)

    def spoil(ids, embeddings, features):
        for rows in features:
            rows[:] = 0
        return embeddings

    fresh.answer("What?", pictures[:1], max_new_tokens=6, replace={"merge": spoil})
    assert fresh.answer("What?", pictures[:1], max_new_tokens=6).trace.receipt == expected.trace.receipt


def test_the_feature_layer_is_part_of_the_key(fresh, pictures):
    replies = [fresh.answer("What?", pictures[:1], max_new_tokens=4, feature_layer=layer) for layer in (-1, -2, -1)]
    assert [uses(reply)["features"] for reply in replies] == [(0, 1), (0, 1), (1, 0)]
    assert replies[0].trace.receipt == replies[2].trace.receipt != replies[1].trace.receipt


def test_pictures_with_equal_bytes_but_other_size_palette_or_turn_are_told_apart(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 150), np.uint8)
    wide, high = Image.fromarray(pixels), Image.fromarray(pixels.reshape(150, 30))
    assert wide.tobytes() == high.tobytes()
    palettes = []
    for shift in (0, 1):
        image = Image.fromarray(pixels, "P")
        image.putpalette([(value + shift) % 256 for value in range(768)])
        palettes.append(image)
    turned = []
    for orientation in (1, 6):
        exif = Image.Exif()
        exif[0x0112] = orientation
        wide.save(file := io.BytesIO(), "JPEG", exif=exif)
        turned += [Image.open(file), file.getvalue()]
    clear = wide.copy()
    clear.info["transparency"] = 3
    keys = [content_key(each) for each in (wide, high, *palettes, *turned, clear, wide.convert("RGB"))]
    assert len(set(keys)) == len(keys)
    assert content_key(wide) == content_key(wide.copy())


def test_what_cant_be_read_has_no_key(tmp_path):
    assert content_key(tmp_path / "nothing.png") is None


def test_a_cache_stays_within_its_bytes_and_drops_the_least_recently_used():
    cache = ByteCache[bytes]("test", 100, len)
    for name in (b"a", b"b"):
        cache.get(name, lambda: bytes(40))
    cache.get(b"a", lambda: bytes(40))
    cache.get(b"c", lambda: bytes(40))
    assert cache.get(b"a", lambda: bytes(40))[1].hits == 1
    assert cache.get(b"b", lambda: bytes(40))[1].misses == 1
    report = cache.report()
    assert (report.entries, report.bytes, report.evictions) == (2, 80, 2)
    assert (report.hits, report.misses) == (2, 4)


def test_what_is_larger_than_the_cache_is_made_and_not_kept():
    cache = ByteCache[bytes]("test", 10, len)
    assert cache.get(b"a", lambda: bytes(11))[0] == bytes(11)
    assert cache.report().entries == 0


def test_what_several_want_at_once_is_made_once():
    cache = ByteCache[bytes]("test", 100, len)
    made, release = [], threading.Event()

    def make():
        made.append(1)
        assert release.wait(PATIENCE)
        return bytes(8)

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(cache.get, b"a", make) for _ in range(4)]
        release.set()
        found = [each.result(PATIENCE) for each in waiting]
    assert len(made) == 1
    assert sorted(use.hits for _, use in found) == [0, 1, 1, 1]


def test_who_waited_for_what_failed_tries_again():
    cache = ByteCache[bytes]("test", 100, len)
    begun, release = threading.Event(), threading.Event()

    def fail():
        begun.set()
        assert release.wait(PATIENCE)
        raise ValueError("no")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, b"a", fail)
        assert begun.wait(PATIENCE)
        second = pool.submit(cache.get, b"a", lambda: bytes(8))
        release.set()
        with pytest.raises(ValueError, match="no"):
            first.result(PATIENCE)
        assert second.result(PATIENCE)[0] == bytes(8)


def test_caches_of_no_bytes_keep_nothing(random_llava, pictures):
    none = {"sandbox_pixel_cache_mb": 0, "sandbox_feature_cache_mb": 0, "sandbox_prefix_cache_mb": 0}
    engine = load_engine(random_llava, settings=SandboxSettings(_env_file=None, sandbox_device="cpu", **none))
    replies = [engine.answer("What?", pictures[:1], max_new_tokens=3) for _ in range(2)]
    assert uses(replies[1]) == {"pixels": (0, 1), "features": (0, 1), "prefixes": (0, 1)}
    assert all(report.entries == report.bytes == 0 for report in engine.cache_report())
    engine.close()


def test_the_report_says_how_the_caches_stand(fresh, pictures):
    before = {report.name: report for report in fresh.cache_report()}
    fresh.answer("What?", pictures[:1], max_new_tokens=2)
    after = {report.name: report for report in fresh.cache_report()}
    assert list(after) == ["pixels", "features", "prefixes"]
    for name, report in after.items():
        assert (report.entries, report.misses - before[name].misses) == (1, 1)
        assert 0 < report.bytes < report.limit_bytes
