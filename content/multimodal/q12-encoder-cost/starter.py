import numpy as np


def reduce_tokens(features: np.ndarray, saliency: np.ndarray, keep: int) -> np.ndarray:
    """Return at most `keep` rows of (T, d) features in image order; as it stands, just the first rows."""
    return features[:keep]
