"""Figures for each class, from a confusion matrix."""

from mnist_cli.results import ClassResult


def per_class(confusion_matrix: tuple[tuple[int, ...], ...]) -> tuple[ClassResult, ...]:
    """Precision, recall and F1 of each class of a square matrix of counts, rows the truth.

    A class that was never predicted has no precision, one without images no recall.
    """
    results = []
    for label, row in enumerate(confusion_matrix):
        hits, support = row[label], sum(row)
        predicted = sum(other[label] for other in confusion_matrix)
        results.append(
            ClassResult(
                label=label,
                precision=_ratio(hits, predicted),
                recall=_ratio(hits, support),
                f1=_ratio(2 * hits, support + predicted),
                support=support,
            )
        )
    return tuple(results)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
