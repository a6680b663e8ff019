"""Random draws that depend on (seed, number) alone: vectorised, and the same in any process and batch.   Chapter 01"""

import numpy as np


def uniforms(seed: int, numbers: np.ndarray, *, stream: int, size: int) -> np.ndarray:
    """Counter-based uniforms [T, size] in [0, 1) for the episode numbers [T]: splitmix64 of all coordinates."""
    base = _mix(np.array([seed % 2**64], dtype=np.uint64) + np.uint64(stream) * _GOLDEN)
    rows = _mix(_mix(numbers.astype(np.uint64) + np.uint64(1)) ^ base)
    grid = _mix(rows[:, None] + np.arange(1, size + 1, dtype=np.uint64) * _GOLDEN)
    return (grid >> np.uint64(11)).astype(np.float64) * 2.0**-53


def choose(random: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Ordered samples without replacement: uniforms [..., m] and set sizes [...] → positions [..., m] < size.

    The first m steps of a Fisher-Yates shuffle, with only the touched positions kept: m²/2 vectorised comparisons,
    however large the sets.
    """
    m = random.shape[-1]
    steps = np.arange(m)
    swapped = steps + (random * (sizes[..., None] - steps)).astype(np.int64)  # position swapped with step i
    chosen = np.empty_like(swapped)
    for i in range(m):
        value = swapped[..., i].copy()
        for j in range(i - 1, -1, -1):  # what lies at that position after the earlier swaps
            value[value == swapped[..., j]] = j
        chosen[..., i] = value
    return chosen


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele et al., 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
