"""Solutions of q12."""

from tests.unit.judge.faults import Fault

RIGHT = """
import numpy as np


def reduce_tokens(features, saliency, keep):
    if keep < 1:
        raise ValueError("keep")
    if keep >= len(features):
        return features
    chosen = np.argsort(-saliency, kind="stable")[:keep]
    chosen = np.sort(chosen)
    return features[chosen]
"""

OTHER_RIGHT = '''
import numpy as np


def reduce_tokens(features, saliency, keep):
    """Keeps the salient rows and merges each of the others into the kept one that it resembles most."""
    count = features.shape[0]
    if keep <= 0:
        raise ValueError(f"keep={keep}")
    if count <= keep:
        return features.copy()
    order = np.argsort(saliency)[::-1]
    kept, rest = np.sort(order[:keep]), order[keep:]
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    nearest = np.argmax(unit[rest] @ unit[kept].T, axis=1)
    weight = saliency[kept].astype(np.float64)
    total = features[kept] * weight[:, None]
    for row, target in zip(rest, nearest):
        share = saliency[row] * 0.1
        total[target] += features[row] * share
        weight[target] += share
    return (total / weight[:, None]).astype(np.float32)
'''

_CHOICE = 'chosen = np.argsort(-saliency, kind="stable")[:keep]'
FAULTS = [
    Fault("the first rows", _CHOICE, "chosen = np.arange(keep)", "live accuracy"),
    Fault(
        "random rows", _CHOICE, "chosen = np.random.default_rng().permutation(len(features))[:keep]", "live accuracy"
    ),
    Fault("every other row", _CHOICE, "chosen = np.linspace(0, len(features) - 1, keep).astype(int)", "live accuracy"),
    Fault("the least salient rows", _CHOICE, 'chosen = np.argsort(saliency, kind="stable")[:keep]', "half"),
    Fault("the last rows", _CHOICE, "chosen = np.arange(len(features))[-keep:]", "quarter"),
    Fault(
        "all rows are the mean",
        "return features[chosen]",
        "return np.repeat(features.mean(0, keepdims=True), keep, 0)",
        "live accuracy",
    ),
    Fault("rows normalised", "return features[chosen]", "return features[chosen] * np.float32(0.05)", "live accuracy"),
    Fault("in the order of saliency", "    chosen = np.sort(chosen)\n", "", "order"),
    Fault("one row too many", "[:keep]", "[: keep + 1]", "form"),
    Fault("float64", "return features[chosen]", "return features[chosen].astype(np.float64)", "form"),
    Fault("indices returned", "return features[chosen]", "return chosen", "form"),
    Fault(
        "dropped rows zeroed, not dropped",
        "return features[chosen]",
        "result = np.zeros_like(features)\n    result[chosen] = features[chosen]\n    return result",
        "form",
    ),
    Fault("a NaN", "return features[chosen]", "return features[chosen] / np.float32(0)", "form"),
    Fault("keep=0 returns nothing", "    if keep < 1:\n", "    if keep < 0:\n", "bad keep"),
    Fault(
        "all rows sorted by saliency",
        "    if keep >= len(features):\n        return features\n",
        "    if keep >= len(features):\n        return features[np.argsort(-saliency)]\n",
        "all kept",
    ),
    Fault(
        "saliency changed", "    if keep < 1:\n", "    saliency /= saliency.max() + 1\n    if keep < 1:\n", "arguments"
    ),
]
