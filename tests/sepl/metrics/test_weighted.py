import numpy as np

from sepl.metrics.weighted import nan_where, weighted_mean


def test_a_weighted_mean_is_of_repeated_values_and_of_none_not_defined():
    weights_BP = np.array([[1.0, 0, 2], [0, 0, 0]])

    np.testing.assert_allclose(weighted_mean(np.array([4.0, 9, 1]), weights_BP), [2.0, np.nan])


def test_nan_stands_where_the_condition_holds():
    np.testing.assert_array_equal(nan_where(np.array([True, False]), np.array([1.0, 2.0])), [np.nan, 2.0])
