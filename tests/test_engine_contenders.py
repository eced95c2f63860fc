"""The plain contenders of the engine benchmark make the updates of scikit-learn."""

import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import engine_contenders


@pytest.mark.parametrize("loss", ["kl", "is"])
@pytest.mark.parametrize("contender", ["numpy", "blocks"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_contenders_make_the_updates_of_scikit_learn(contender, loss):
    V = np.random.default_rng(0).random((40, 17), np.float32) + np.float32(0.1)
    factors = engine_contenders.start(V, 3, seed=0)
    runs = {name: engine_contenders.RUNS[name](loss, 1) for name in (contender, "scikit-learn")}
    ours, reference = (
        engine_contenders.objective(V, run(V, factors, 10), loss)
        for run in (runs[contender], runs["scikit-learn"])
    )
    assert ours == pytest.approx(reference, rel=1e-5)
