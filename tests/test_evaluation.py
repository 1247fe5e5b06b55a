import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from mnist_cli.training.evaluation import per_class


def test_equals_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 10, 500)
    predicted = np.where(generator.random(500) < 0.7, truth, generator.integers(0, 10, 500))
    matrix = confusion_matrix(truth, predicted, labels=range(10))
    theirs = zip(*precision_recall_fscore_support(truth, predicted, labels=range(10)), strict=True)
    for ours, (precision, recall, f1, support) in zip(
        per_class(matrix.tolist()), theirs, strict=True
    ):
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx((precision, recall, f1))
        assert ours.support == support


def test_a_ratio_without_a_denominator_is_none() -> None:
    never_predicted, without_images, neither = per_class(((0, 2, 0), (0, 0, 0), (0, 0, 0)))
    assert (never_predicted.precision, never_predicted.recall) == (None, 0)
    assert (without_images.precision, without_images.recall) == (0, None)
    assert (neither.precision, neither.recall, neither.f1) == (None, None, None)
