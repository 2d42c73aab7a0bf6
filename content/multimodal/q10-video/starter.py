import numpy as np


def sample_frames(num_frames: int, fps: float, budget: int, diff: np.ndarray) -> list[int]:
    """Return at most `budget` frame indices in rising order, with every shot of the video among them."""
    # uniform so far: the cuts in `diff` are left to you, and so are the errors of the contract
    count = min(num_frames, budget)
    return [int((position + 0.5) * num_frames / count) for position in range(count)]
