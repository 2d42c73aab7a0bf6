"""Solutions of q10."""

from tests.unit.judge.faults import Fault

RIGHT = """
import numpy as np


def sample_frames(num_frames, fps, budget, diff):
    if budget < 1 or num_frames < 1:
        raise ValueError("nothing to sample")
    if len(diff) != num_frames - 1:
        raise ValueError("diff has the wrong length")
    if num_frames <= budget:
        return list(range(num_frames))
    starts = [0] + [index + 1 for index in range(num_frames - 1) if diff[index] >= 0.1]
    shots = list(zip(starts, starts[1:] + [num_frames]))
    if len(shots) > budget:
        shots = sorted(sorted(shots, key=lambda shot: shot[0] - shot[1])[:budget])
    counts = [1] * len(shots)
    while sum(counts) < budget:
        gaps = [(end - start) / count if count < end - start else 0 for (start, end), count in zip(shots, counts)]
        counts[gaps.index(max(gaps))] += 1
    frames = []
    for (start, end), count in zip(shots, counts):
        frames += [start + int((place + 0.5) * (end - start) / count) for place in range(count)]
    return frames
"""

OTHER_RIGHT = '''
import numpy as np


def sample_frames(num_frames, fps, budget, diff):
    """Time that runs faster at cuts: equal steps of time plus a share for each shot."""
    if num_frames <= 0 or budget <= 0 or np.shape(diff) != (num_frames - 1,):
        raise ValueError((num_frames, budget))
    if budget >= num_frames:
        return np.arange(num_frames).tolist()
    cut = np.flatnonzero(np.asarray(diff) > 0.08) + 1
    edges = np.concatenate([[0], cut, [num_frames]])
    sizes = np.diff(edges)
    if len(sizes) >= budget:
        chosen = np.sort(np.argsort(-sizes, kind="stable")[:budget])
        return [int(edges[i] + sizes[i] // 2) for i in chosen]
    extra = budget - len(sizes)
    share = 1 + np.floor(extra * sizes / num_frames).astype(int)
    share = np.minimum(share, sizes)
    while share.sum() < budget:
        share[np.argmax(np.where(share < sizes, sizes / share, -1))] += 1
    out = set()
    for start, size, count in zip(edges, sizes, share):
        out |= set((start + (np.arange(count) + 0.5) * size / count).astype(int).tolist())
    return sorted(out)
'''

_CHECKS = '    if len(diff) != num_frames - 1:\n        raise ValueError("diff has the wrong length")\n'
_ALL = "    if num_frames <= budget:\n        return list(range(num_frames))\n"
FAULTS = [
    Fault(
        "uniform sampling",
        _ALL,
        _ALL + "    return [int((i + 0.5) * num_frames / budget) for i in range(budget)]\n",
        "shots",
    ),
    Fault(
        "one frame a second",
        _ALL,
        _ALL + "    return list(range(0, num_frames, max(1, int(fps))))[:budget]\n",
        "static video",
    ),
    Fault("the first frames", _ALL, _ALL + "    return list(range(budget))\n", "shots"),
    Fault(
        "cuts only",
        "    counts = [1] * len(shots)\n",
        "    if len(shots) > 1:\n        return [start for start, end in shots]\n    counts = [1] * len(shots)\n",
        "long shot",
    ),
    Fault(
        "one frame for a static video",
        "    counts = [1] * len(shots)\n",
        "    if len(shots) == 1:\n        return [0]\n    counts = [1] * len(shots)\n",
        "static video",
    ),
    Fault(
        "the largest differences",
        _ALL,
        _ALL + "    return sorted(int(i) + 1 for i in np.argsort(-np.asarray(diff))[:budget])\n",
        "static video",
    ),
    Fault("a threshold below the noise", "diff[index] >= 0.1", "diff[index] >= 0.001", "shots"),
    Fault("a threshold above the cuts", "diff[index] >= 0.1", "diff[index] >= 0.5", "shots"),
    Fault("half the budget", "while sum(counts) < budget:", "while sum(counts) < budget // 2:", "static video"),
    Fault(
        "more frames than the budget", "    while sum(counts) < budget:", "    while sum(counts) < budget + 1:", "form"
    ),
    Fault(
        "the budget passed with many shots",
        "        shots = sorted(sorted(shots, key=lambda shot: shot[0] - shot[1])[:budget])\n",
        "        pass\n",
        "small budget",
    ),
    Fault(
        "the same shot again and again",
        "        shots = sorted(sorted(shots, key=lambda shot: shot[0] - shot[1])[:budget])\n",
        "        shots = [max(shots, key=lambda shot: shot[1] - shot[0])]\n",
        "small budget",
    ),
    Fault("not in order", "    return frames\n", "    return frames[::-1]\n", "form"),
    Fault("frames twice", "    return frames\n", "    return sorted(frames[:-1] + frames[:1])\n", "form"),
    Fault("an array returned", "    return frames\n", "    return np.array(frames)\n", "form"),
    Fault("floats returned", "    return frames\n", "    return [float(frame) for frame in frames]\n", "form"),
    Fault("beyond the end", "    return frames\n", "    return frames[:-1] + [num_frames]\n", "form"),
    Fault(
        "not all where all fit",
        _ALL,
        "    if num_frames < budget:\n        return list(range(num_frames - 1))\n",
        "all frames",
    ),
    Fault("spare budget left in the first shot", "counts[gaps.index(max(gaps))] += 1", "counts[0] += 1", "long shot"),
    Fault(
        "bunched at the beginning of the shot",
        "start + int((place + 0.5) * (end - start) / count)",
        "start + min(place, end - start - 1)",
        "static video",
    ),
    Fault("diff not looked at", _CHECKS, "", "bad input"),
    Fault("diff looked at too late", _CHECKS + _ALL, _ALL + _CHECKS, "bad input"),
    Fault("a budget of 0 passes", "    if budget < 1 or num_frames < 1:\n", "    if num_frames < 1:\n", "bad input"),
    Fault(
        "TypeError instead",
        '        raise ValueError("nothing to sample")',
        '        raise TypeError("nothing to sample")',
        "bad input",
    ),
    Fault("diff changed", "    starts = [0] +", "    diff[diff < 0.05] = 0\n    starts = [0] +", "arguments"),
]
