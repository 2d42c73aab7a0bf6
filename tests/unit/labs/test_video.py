import io

import numpy as np
import pytest
from PIL import Image

from sandbox.labs import video
from sandbox.labs.video import NotAClip, draw_clip, read_clip, sample, shots_seen


@pytest.fixture(scope="module")
def clip():
    return draw_clip(seed=3)


def gif(frames, **options):
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=50, **options)
    return out.getvalue()


def test_a_drawn_clip_has_cuts_between_its_shots_and_noise_within(clip):
    steps = video.differences(clip.frames)
    cuts = np.flatnonzero(steps >= video.CUT) + 1
    assert cuts.tolist() == [40, 46, 76, 80]
    assert np.delete(steps, cuts - 1).max() < 0.03


@pytest.mark.parametrize("strategy", video.STRATEGIES)
@pytest.mark.parametrize("budget", [1, 2, 5, 8, 96, 200])
def test_every_strategy_keeps_to_the_budget_and_to_the_clip(clip, strategy, budget):
    chosen = sample(clip, strategy, budget)
    assert 1 <= len(chosen) <= budget
    assert chosen == sorted(set(chosen))
    assert chosen[0] >= 0
    assert chosen[-1] < len(clip.frames)


def test_one_frame_a_shot_sees_every_shot_where_equal_steps_do_not(clip):
    assert shots_seen(clip, sample(clip, "one a shot", 5)) == (5, 5)
    assert shots_seen(clip, sample(clip, "evenly in time", 5))[0] < 5
    assert shots_seen(clip, sample(clip, "the first frames", 5)) == (1, 5)


def test_a_still_clip_is_spread_over_time():
    frames = [Image.new("RGB", (16, 16), "white")] * 60
    chosen = sample(video.Clip(tuple(frames), 10.0), "one a shot", 6)
    assert len(chosen) == 6
    assert max(np.diff(chosen)) <= 20


def test_an_animated_picture_is_read_frame_by_frame(clip):
    read = read_clip(gif([frame.resize((56, 56)) for frame in clip.frames[::8]]))
    assert (len(read.frames), read.fps) == (12, 20)
    assert {frame.mode for frame in read.frames} == {"RGB"}


def test_a_still_picture_is_no_clip():
    with pytest.raises(NotAClip, match="doesn't move"):
        read_clip(gif([Image.new("RGB", (8, 8))]))


def test_a_clip_with_too_many_pixels_is_refused_before_it_is_decoded():
    large = [Image.new("P", (1200, 1200), color) for color in (0, 1)]
    with pytest.raises(NotAClip, match="2 frames of 1200 x 1200"):
        read_clip(gif(large))


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"not a picture at all", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_no_clip(data):
    with pytest.raises(NotAClip, match="no animated"):
        read_clip(data)
