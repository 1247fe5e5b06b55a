"""Finds the best of several networks while seeds are added.

A look compares all networks that may be the best, when each has 4, 5, 7, ... seeds. It drops a
network if another one is surely ahead: by a one-sided bound at the level 0.05 / ((k - 1) K), with k
networks and K looks. The bounds of the k - 1 pairs with the best network at all looks hold together
with 95 % probability, by the union bound. While they do, the best is never dropped, and no network
lacks more than its gap: the largest upper bound of the lead of another one. These are the
comparisons with the best of Hsu (1984, https://doi.org/10.1214/aos/1176346732) with Bonferroni's
levels. Bounds of other pairs may fail: that one network beats another is not known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import scipy

from mnist_cli.comparison.sequential import forecast, select_usable
from mnist_cli.comparison.statistics import SampleMean
from mnist_cli.schema.comparison import ALPHA, CompareResult, Contender


def find_contenders(result: CompareResult) -> tuple[Contender, ...]:
    """What is known of each network that did not fail; empty before the first look.

    A look waits until all networks that need further seeds have them. So only the results decide
    who gets seeds, not the order in which runs finish.
    """
    leads = _Leads(result)
    contenders = [Contender(name, 0, None, needs_seeds=True) for name in leads.runs]
    for look in leads.settling.allowed_looks:
        places = [place for place, each in enumerate(contenders) if each.needs_seeds]
        if len(places) < 2 or not leads.measure(places, look):
            break
        contenders = _drop(contenders, places, leads, look)
    return tuple(contenders) if contenders and contenders[0].n else ()


def seeds_needed(names: Iterable[str], result: CompareResult) -> dict[str, int]:
    """How many seeds each network needs now: those of the next look, if it takes part in it."""
    assert result.settling is not None
    looks = result.settling.allowed_looks
    needed = dict.fromkeys(names, looks[0])
    last = max((each.n for each in result.contenders), default=0)
    for each in result.contenders:
        if each.needs_seeds:
            needed[each.model] = min(look for look in looks if look > last)
    return needed


def number_of_comparisons(networks: int, looks: int) -> float:
    """The number that gives a two-sided interval at 1 - 0.05 / number the one-sided bounds here."""
    return (networks - 1) * looks / 2


class _Leads:
    """How far each of k networks is ahead of each other one, at the last look at both.

    The arrays are k×k, a row's network minus a column's: `mean`, its standard `error`, `most`, the
    upper bound of the true lead (float64), and `seeds`, their number (int64).
    """

    def __init__(self, result: CompareResult) -> None:
        assert result.settling is not None
        self.settling = result.settling
        self.margin = result.margin or 0.0
        self.comparisons = number_of_comparisons(len(result.models), result.number_of_looks)
        self.runs = {
            model.model: select_usable(model.runs, result)
            for model in result.models
            if not model.failure
        }
        shape = len(self.runs), len(self.runs)
        self.mean, self.error, self.most = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.seeds = np.zeros(shape, np.int64)
        self._least_variance = result.dataset.num_test**-2 / 12  # as in statistics.sample_mean

    def measure(self, places: Sequence[int], look: int) -> bool:
        """Compare the networks at `places` with `look` seeds; False if one lacks seeds."""
        every = list(self.runs.values())
        runs = [every[place] for place in places]
        seeds = [seed for seed in runs[0] if all(seed in each for each in runs)][:look]
        if len(seeds) < look:
            return False
        table = np.array([[each[seed].test_accuracy for seed in seeds] for each in runs])
        differences = table[:, None] - table[None, :]
        variance = np.maximum(differences.var(axis=2, ddof=1), self._least_variance)
        quantile = scipy.special.stdtrit(look - 1, 1 - ALPHA / self.comparisons / 2)
        block = np.ix_(places, places)
        self.mean[block] = differences.mean(axis=2)
        self.error[block] = np.sqrt(variance / look)
        self.most[block] = self.mean[block] + quantile * self.error[block]
        self.seeds[block] = look
        np.fill_diagonal(self.most, 0)
        return True

    def may_decide(self, place: int, leader: int) -> bool:
        """Whether further seeds are likely to drop the network, or to settle it by the margin."""
        here, n = (place, leader), int(self.seeds[place, leader])
        if self.most[here] < self.margin:
            return False
        sample = SampleMean(float(self.mean[here]), float(self.error[here]), n - 1, n)
        drift, half = forecast(sample, self.comparisons, self.settling)
        return abs(sample.mean) + drift > half - self.margin


def _drop(
    contenders: Sequence[Contender], places: Sequence[int], leads: _Leads, look: int
) -> list[Contender]:
    """Drop those at `places` that are surely not the best; say how far each other one may be."""
    names = [each.model for each in contenders]
    left = [place for place, each in enumerate(contenders) if not each.dropped_by]
    ahead = {place: min(left, key=lambda other: leads.most[place, other]) for place in left}
    dropped = {
        place: names[other] for place, other in ahead.items() if leads.most[place, other] < 0
    }
    left = [place for place in left if place not in dropped]
    gaps = {place: min(1.0, float(leads.most[left, place].max())) for place in left}
    # The leads over one network rank those with the same seeds by their mean accuracies.
    staying = [place for place in places if place not in dropped]
    leader = max(staying, key=lambda place: leads.mean[place, places[0]])
    needing = set()
    if look < leads.settling.allowed_looks[-1] and min(gaps.values()) >= leads.margin:
        needing = {each for each in left if each != leader and leads.may_decide(each, leader)}
    needing |= {leader} if needing else set()
    return [
        replace(
            each,
            n=look if place in places else each.n,
            gap=gaps.get(place),
            dropped_by=dropped.get(place, each.dropped_by),
            needs_seeds=place in needing,
        )
        for place, each in enumerate(contenders)
    ]
