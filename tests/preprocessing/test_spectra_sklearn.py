"""scikit-learn's own checks of a transformer. Crop and Resample are left out: their width is that of an axis."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from polydx.preprocessing.spectra import (
    MSC,
    PCA,
    SNV,
    AirPLS,
    AreaNorm,
    ArPLS,
    AsLS,
    ClipNegative,
    Despike,
    MinMaxNorm,
    PolynomialBaseline,
    SavitzkyGolay,
    SelectBest,
    Standardise,
    VectorNorm,
)

STEPS = [
    ClipNegative(),
    Despike(),
    ArPLS(),
    AsLS(),
    AirPLS(),
    PolynomialBaseline(order=1),
    SavitzkyGolay(window=1, order=0),
    SNV(),
    VectorNorm(),
    AreaNorm(),
    MinMaxNorm(),
    MSC(),
    Standardise(),
    PCA(components=1),
    SelectBest(),
]


def expected_failures(step):
    """Return the checks a step is meant to fail, and why."""
    failures = {"check_dtype_object": "objects that are no numbers are a SpectrumError, not Python's TypeError"}
    if isinstance(step, SNV | VectorNorm | AreaNorm | MinMaxNorm | MSC):
        failures["check_estimators_dtypes"] = "its data has a constant row, which these steps refuse"
    if "max_iter" in step.get_params():
        failures["check_transformer_n_iter"] = "rounds are counted per spectrum, in transform: there is no n_iter_"
    return failures


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(STEPS, expected_failed_checks=expected_failures)
def test_scikit_learn_accepts_the_step(estimator, check):
    check(estimator)
