import math

import numpy as np
import pytest

from webapp.feedback.evaluation import statistics
from webapp.feedback.evaluation.statistics import estimate


def test_kappa_is_agreement_beyond_chance():
    truth, found = np.array([1, 1, 1, 0, 0, 0, 0, 0.0]), np.array([1, 1, 0, 0, 0, 0, 0, 1.0])
    # observed 6 of 8; by chance 3/8 * 3/8 + 5/8 * 5/8 = 34/64
    assert statistics.kappa(truth, found) == pytest.approx((48 / 64 - 34 / 64) / (1 - 34 / 64))


def test_kappa_is_no_number_where_nothing_varies():
    assert math.isnan(statistics.kappa(np.ones(4), np.ones(4)))


def test_a_near_miss_costs_the_weighted_kappa_less_than_a_far_one():
    truth = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    near, far = truth.copy(), truth.copy()
    near[0], far[0] = 0.3, 0.9
    assert statistics.weighted_kappa(truth, truth) == 1
    assert statistics.weighted_kappa(truth, near) > statistics.weighted_kappa(truth, far)


def test_ties_count_half_in_the_auc():
    assert statistics.auc(np.array([1, 0.0]), np.array([0.4, 0.4])) == 0.5


def test_chances_that_are_right_on_average_are_calibrated():
    truth = np.array([1, 0, 1, 0.0])
    assert statistics.calibration_error(truth, np.full(4, 0.5)) == 0
    assert statistics.calibration_error(truth, np.ones(4)) == 0.5


def test_the_interval_holds_the_figure_and_is_wider_for_fewer_questions():
    chance = np.random.default_rng(1)

    def interval(questions):
        truth = chance.random(questions * 6)
        found = truth + chance.normal(0, 0.3, len(truth))
        names = [f"q{n // 6}" for n in range(len(truth))]
        return estimate(statistics.spearman, truth, found, names, range(len(truth)))

    few, many = interval(6), interval(60)
    assert few.low < few.value < few.high
    assert few.high - few.low > many.high - many.low


def test_the_same_figures_give_the_same_interval():
    truth, found = [0.1, 0.5, 0.9, 0.2], [0.2, 0.4, 0.8, 0.3]
    names = ["q1", "q1", "q2", "q2"]
    first, second = (estimate(statistics.pearson, truth, found, names, range(4)) for _ in range(2))
    assert first == second
