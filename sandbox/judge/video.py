"""q10: `sample_frames`, on generated videos whose shots are known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sandbox.judge.bench import ARGUMENTS, Bad, Bench, Exercise, Probe, Wrong, show

COVERED, UNIFORM_COVERS = 0.9, 0.7
"""Share of shots to be shown, on videos where uniform sampling shows at most the other."""
WIDEST, USED = 2.2, 0.75
"""Of a static video: largest gap in units of frames over budget, and least share of the budget."""
VIDEOS = 6
DRAWS = 1000
FPS = (24.0, 25.0, 29.97, 30.0, 50.0)


@dataclass(frozen=True)
class Video:
    """A video by its shots."""

    lengths: tuple[int, ...]
    fps: float
    budget: int
    diff: np.ndarray

    @property
    def frames(self) -> int:
        """Number of frames."""
        return sum(self.lengths)

    def shown(self, indices: list[int]) -> np.ndarray:
        """Return how many frames each shot gets."""
        shots = np.repeat(np.arange(len(self.lengths)), self.lengths)
        return np.bincount(shots[indices], minlength=len(self.lengths))

    def share(self, indices: list[int]) -> float:
        """Share of the shots with a frame, or of the budget where there are fewer frames than shots."""
        return float((self.shown(indices) > 0).sum() / min(len(self.lengths), self.budget))

    @property
    def where(self) -> str:
        """The input in words."""
        return f"a video of {self.frames} frames in {len(self.lengths)} shots, budget={self.budget}"


def video(numbers: np.random.Generator, lengths: list[int], budget: int) -> Video:
    """Return a video with these shots: noise within them, a jump at every cut."""
    frames = sum(lengths)
    level = numbers.uniform(0.01, 0.02)
    diff = np.clip(level + numbers.normal(0, 0.003, frames - 1), 0.005, 0.03)
    cuts = np.cumsum(lengths)[:-1] - 1
    diff[cuts] = numbers.uniform(0.15, 0.6, len(cuts))
    return Video(tuple(lengths), float(numbers.choice(FPS)), budget, diff.astype(np.float32))


def uneven(numbers: np.random.Generator) -> Video:
    """Return a video of a few long shots and many short ones, on which uniform sampling misses many."""
    for _ in range(DRAWS):
        short = numbers.integers(2, 9, numbers.integers(6, 15)).tolist()
        long = numbers.integers(150, 700, numbers.integers(2, 4)).tolist()
        lengths = [int(length) for length in numbers.permutation(short + long)]
        budget = len(lengths) + int(numbers.integers(0, 5))
        made = video(numbers, lengths, budget)
        if made.share(uniform(made.frames, budget)) <= UNIFORM_COVERS:
            return made
    raise AssertionError("no video was found on which uniform sampling misses shots")


def uniform(frames: int, budget: int) -> list[int]:
    """Return the middles of equal parts."""
    count = min(frames, budget)
    return [int((place + 0.5) * frames / count) for place in range(count)]


def sampled(bench: Bench, each: Video) -> list[int]:
    """Return the candidate's frames; `Wrong` if they are no frames of the video or more than the budget."""
    value = bench.call("sample_frames", each.frames, each.fps, each.budget, each.diff).value
    if not isinstance(value, list) or not all(type(index) is int for index in value):
        raise Wrong(f"For {each.where}, a list of int is expected; {show(value)} came.")
    if not value:
        raise Wrong(f"For {each.where}, at least one frame is expected; none came.")
    if min(value) < 0 or max(value) >= each.frames:
        raise Wrong(f"For {each.where}, frames 0 to {each.frames - 1} exist; {min(value)} to {max(value)} came.")
    if any(after <= before for before, after in pairwise(value)):
        raise Wrong(f"For {each.where}, distinct frames in rising order are expected; {show(value)} came.")
    if len(value) > each.budget:
        raise Wrong(f"For {each.where}, at most {each.budget} frames are expected; {len(value)} came.")
    return value


def shared(bench: Bench) -> list[Video]:
    """Return videos of uneven shots, shared by the checks."""
    numbers = bench.numbers("uneven")
    return bench.once("uneven", lambda: [uneven(numbers) for _ in range(VIDEOS)])


def form(bench: Bench) -> str:
    """Distinct rising indices within the budget."""
    numbers = bench.numbers("form")
    videos = [*shared(bench), video(numbers, [int(numbers.integers(40, 90))], 7), video(numbers, [5, 3], 1)]
    for each in videos:
        sampled(bench, each)
    return f"Distinct rising frames within the budget, of {len(videos)} videos."


def all_fit(bench: Bench) -> str:
    """Every frame where they fit."""
    numbers = bench.numbers("all fit")
    for more in (0, int(numbers.integers(1, 30))):
        lengths = [int(length) for length in numbers.integers(1, 9, 4)]
        each = video(numbers, lengths, sum(lengths) + more)
        got = sampled(bench, each)
        if got != list(range(each.frames)):
            raise Wrong(f"For {each.where}, all frames fit and are expected; {len(got)} came.")
    one = video(numbers, [1], 4)
    if sampled(bench, one) != [0]:
        raise Wrong("A video of one frame should give [0].")
    return "All frames come where they fit."


def coverage(bench: Bench) -> str:
    """Shots shown, on videos where uniform sampling misses many."""
    shares = []
    for each in shared(bench):
        share = each.share(sampled(bench, each))
        theirs = each.share(uniform(each.frames, each.budget))
        if share < COVERED:
            raise Wrong(
                f"For {each.where}, {share:.0%} of the shots are shown; at least {COVERED:.0%} are expected (uniform "
                f"sampling shows {theirs:.0%}). The shots' lengths are {', '.join(map(str, each.lengths))}."
            )
        shares.append(f"{share:.0%} against {theirs:.0%}")
    return f"Shots shown, against uniform sampling: {', '.join(shares)}."


def small_budget(bench: Bench) -> str:
    """More shots than frames: every frame in another shot."""
    numbers = bench.numbers("small budget")
    shares = []
    for _ in range(3):
        short = numbers.integers(3, 12, numbers.integers(14, 24)).tolist()
        lengths = [int(length) for length in numbers.permutation([*short, int(numbers.integers(600, 1200))])]
        each = video(numbers, lengths, int(numbers.integers(6, 12)))
        share = each.share(sampled(bench, each))
        if share < COVERED:
            raise Wrong(
                f"For {each.where}, frames fall into only {share:.0%} as many shots as the budget allows; at least "
                f"{COVERED:.0%} are expected."
            )
        shares.append(f"{share:.0%}")
    return f"Shots shown of as many as the budget allows: {', '.join(shares)}."


def long_shot(bench: Bench) -> str:
    """A shot of half the video gets more than one frame where the budget has one to spare."""
    numbers = bench.numbers("long shot")
    for spare in (1, 2, int(numbers.integers(3, 8))):
        short = [int(length) for length in numbers.integers(6, 40, numbers.integers(4, 9))]
        place = int(numbers.integers(0, len(short) + 1))
        lengths = [*short[:place], sum(short) + int(numbers.integers(5, 200)), *short[place:]]
        each = video(numbers, lengths, len(lengths) + spare)
        got = int(each.shown(sampled(bench, each))[place])
        if got < 2:
            raise Wrong(
                f"For {each.where}, the shot of {lengths[place]} frames is more than half the video and gets {got} "
                f"frame{'' if got == 1 else 's'}; at least 2 are expected, since the budget has {spare} to spare."
            )
    return "The shot of more than half the video gets two frames or more."


def static(bench: Bench) -> str:
    """One shot: spread over time."""
    numbers = bench.numbers("static")
    widest = 0.0
    for _ in range(4):
        frames = int(numbers.integers(150, 2500))
        each = video(numbers, [frames], int(numbers.integers(8, 40)))
        got = sampled(bench, each)
        gaps = np.diff([-1, *got, frames])
        most = WIDEST * frames / each.budget
        if gaps.max() > most:
            place = int(gaps.argmax())
            raise Wrong(
                f"For a static {each.where}, the largest gap may be {most:.0f} frames; {int(gaps.max())} lie between "
                f"{'the beginning' if place == 0 else f'frame {got[place - 1]}'} and "
                f"{'the end' if place == len(got) else f'frame {got[place]}'}."
            )
        if len(got) < USED * each.budget:
            raise Wrong(f"For a static {each.where}, {USED:.0%} of the budget should be used; {len(got)} frames came.")
        widest = max(widest, float(gaps.max()) * each.budget / frames)
    return f"Largest gap {widest:.2f} · frames / budget (at most {WIDEST})."


def bad_input(bench: Bench) -> str:
    """What can't be sampled."""
    numbers = bench.numbers("bad input")
    each = video(numbers, [9, 14, 5], 6)

    def bad(why: str, frames: int, budget: int, diff: np.ndarray) -> Bad:
        return Bad(why, "sample_frames", (frames, each.fps, budget, diff))

    return bench.refuses(
        [
            bad("budget=0", each.frames, 0, each.diff),
            bad("budget=-2", each.frames, -2, each.diff),
            bad("num_frames=0", 0, 4, np.zeros(0, np.float32)),
            bad("num_frames=-1", -1, 4, np.zeros(0, np.float32)),
            bad("a diff with one value too many", each.frames, 6, np.append(each.diff, each.diff[:1])),
            bad("a diff with one value too few", each.frames, 6, each.diff[1:]),
            bad("a wrong diff though all frames fit", each.frames, each.frames + 5, each.diff[1:]),
        ]
    )


EXERCISE = Exercise(
    "q10",
    ("sample_frames",),
    (
        Probe("form", "Distinct frames of the video in rising order, within the budget.", form, public=True),
        Probe("all frames", "All frames come where they fit the budget.", all_fit, public=True),
        Probe(
            "shots",
            "Shots of very uneven lengths are shown, where uniform sampling misses many.",
            coverage,
            public=True,
        ),
        Probe("small budget", "With more shots than budget, each frame shows another shot.", small_budget),
        Probe("long shot", "A shot of half the video gets more than one frame.", long_shot),
        Probe("static video", "A static video is spread over time.", static, public=True),
        Probe("bad input", "What can't be sampled raises ValueError.", bad_input),
        ARGUMENTS,
    ),
)
