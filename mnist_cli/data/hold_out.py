"""Holds out training images for validation: a part of each class, always the same images."""

import numpy as np
from numpy.typing import NDArray

from mnist_cli.errors import UsageError

SEED = 0  # of the draw; another one than that of the trainings, so that all see the same images


def choose_held_out(labels: NDArray[np.uint8], hold_out: float) -> NDArray[np.bool_]:
    """Choose which of N images are held out, as a mask of N.

    Each class has the same share among them as in `labels`, up to one image (the largest
    remainders get the images that are left). `hold_out` is their number, or a fraction below 1.

    Raises:
        UsageError: that would be none of the images, or all.
    """
    total = len(labels)
    count = round(hold_out * total) if hold_out < 1 else int(hold_out)
    if not 0 < count < total:
        raise UsageError(
            f"--hold-out {hold_out:g} would hold out {count:,} of {total:,} training images; "
            "choose fewer than all and more than none, e.g. 0.1"
        )
    shares = np.bincount(labels) * count / total
    counts = shares.astype(int)
    by_remainder = np.argsort(counts - shares, kind="stable")
    counts[by_remainder[: count - counts.sum()]] += 1
    generator = np.random.default_rng(SEED)
    mask = np.zeros(total, dtype=bool)
    for label, number in enumerate(counts):
        mask[generator.permutation(np.flatnonzero(labels == label))[:number]] = True
    return mask
