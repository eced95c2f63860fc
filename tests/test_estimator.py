import logging
import pickle
import subprocess
import sys

import librosa
import numpy as np
import pytest
import sklearn.decomposition
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from nmfaudio import NMF
from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf import Divergence

BETAS = [-1, 0, 0.5, 1, 1.5, 2, 3]


def data(samples=120, features=30, rank=4, seed=0, dtype=np.float64):
    """A product of sparse factors under multiplicative noise."""
    generator = np.random.default_rng(seed)
    X = generator.random((samples, rank)) ** 4 @ generator.random((rank, features)) ** 4
    return (X * generator.gamma(4, 0.25, X.shape)).astype(dtype)


def starts(X, rank, seed=1):
    generator = np.random.default_rng(seed)
    return {
        "W": (generator.random((X.shape[0], rank)) + 0.1).astype(X.dtype),
        "H": (generator.random((rank, X.shape[1])) + 0.1).astype(X.dtype),
    }


def divergence(X, W, H, beta):
    return float(Divergence(float(beta)).between(X, W @ H))


def penalized(X, W, model):
    """The whole objective, as scikit-learn defines it."""
    H, l1 = model.components_, model.l1_ratio
    alpha_H = model.alpha_W if model.alpha_H == "same" else model.alpha_H
    weights = X.shape[1] * model.alpha_W, X.shape[0] * alpha_H
    added = [a * (l1 * F.sum() + 0.5 * (1 - l1) * (F**2).sum()) for a, F in zip(weights, (W, H), strict=True)]
    return divergence(X, W, H, model.beta_loss) + sum(added)


def fixed(rank, **options):
    """Options of a run of a fixed length, on which tolerances have no say."""
    return {"n_components": rank, "solver": "mu", "tol": 0.0, "random_state": 0, **options}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        NMF(),
        NMF(2, beta_loss="kullback-leibler"),
        NMF(2, beta_loss=0, init="random"),
        NMF(2, beta_loss=1, init="sketch"),
    ]
)
def test_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("beta", [2, 1, 0])
def test_reaches_the_objective_of_scikit_learn_from_the_same_start(beta):
    X = data()
    options = fixed(4, init="custom", beta_loss=beta, max_iter=300)
    theirs = sklearn.decomposition.NMF(**options).fit(X, **starts(X, 4))
    ours = NMF(**options).fit(X, **starts(X, 4))
    assert ours.reconstruction_err_**2 == pytest.approx(theirs.reconstruction_err_**2, rel=0.01)


def test_a_sketch_starts_nearer_than_singular_vectors():
    options = fixed(4, beta_loss=1, max_iter=10)
    near, again, far = (NMF(**options | {"init": init}).fit(data()) for init in ("sketch", "sketch", None))
    assert near.reconstruction_err_ < far.reconstruction_err_
    np.testing.assert_array_equal(near.components_, again.components_)
    other = NMF(**options | {"init": "sketch", "random_state": 5}).fit(data())
    assert not np.array_equal(near.components_, other.components_)


@pytest.mark.parametrize("init", [None, "random", "nndsvd", "nndsvda", "nndsvdar"])
@pytest.mark.filterwarnings("ignore:The multiplicative update")
def test_the_same_random_state_starts_as_scikit_learn_does(init):
    X = 1000 * data()  # zeros in singular vectors are filled with the mean: at this level they show
    options = fixed(4, init=init, beta_loss=1)
    theirs = sklearn.decomposition.NMF(**options, max_iter=3).fit(X).components_
    ours = NMF(**options, max_iter=4).fit(X).components_  # whose last update is of W alone
    np.testing.assert_allclose(ours, theirs / theirs.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("beta", BETAS)
def test_the_reconstruction_error_is_the_root_of_twice_the_divergence(beta):
    X = data()
    model = NMF(**fixed(4, beta_loss=beta, max_iter=1000, init="random"))
    W = model.fit_transform(X)
    expected = np.sqrt(2 * divergence(X, W, model.components_, beta))
    assert model.reconstruction_err_ == pytest.approx(expected, rel=0.02)


def test_the_tolerance_stops_where_scikit_learn_stops():
    X = data()
    options = {"init": "custom", "solver": "mu", "beta_loss": 1, "max_iter": 2000}
    for tol in (1e-2, 1e-3, 1e-4):
        counts = [
            kind(4, tol=tol, **options).fit(X, **starts(X, 4)).n_iter_
            for kind in (NMF, sklearn.decomposition.NMF)
        ]
        assert 0 <= counts[0] - counts[1] <= 10  # a look later, the start's own error not being measured


def test_says_when_it_had_not_settled():
    with pytest.warns(ConvergenceWarning, match="max_iter=3 "):
        NMF(4, max_iter=3).fit(data())


def test_tells_the_logger_its_errors(caplog):
    with caplog.at_level(logging.INFO, "nmfaudio"):
        model = NMF(**fixed(4, max_iter=20, verbose=1)).fit(data())
    assert [record.args[0] for record in caplog.records] == [1, 10, 20]
    assert caplog.records[-1].args[1] == model.reconstruction_err_


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beta", [2, 1, 0])
def test_transform_of_the_training_data_is_what_fit_transform_gave(beta, dtype):
    X = data(dtype=dtype)
    model = NMF(**fixed(4, beta_loss=beta))
    W = model.fit_transform(X)
    assert W.dtype == model.components_.dtype == dtype
    assert np.array_equal(W, model.transform(X))
    assert divergence(X, W, model.components_, beta) == pytest.approx(
        model.reconstruction_err_**2 / 2, rel=0.02
    )


@pytest.mark.parametrize("samples", [1, 31, 600, 1100])
def test_a_sample_is_transformed_the_same_whatever_stands_beside_it(samples):
    X = data(samples=1200)
    model = NMF(**fixed(4, beta_loss=1, max_iter=50)).fit(X)
    np.testing.assert_allclose(model.transform(X[-samples:]), model.transform(X)[-samples:], rtol=1e-6)


@pytest.mark.parametrize(("alpha_W", "alpha_H"), [(0.003, 0.0), (0.0, 0.003), (0.003, "same")])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("beta", [2, 1])
def test_penalties_give_what_they_give_in_scikit_learn(beta, alpha_W, alpha_H, l1_ratio):
    X = data()
    settings = {"alpha_W": alpha_W, "alpha_H": alpha_H, "l1_ratio": l1_ratio}
    options = fixed(4, init="custom", beta_loss=beta, max_iter=500, **settings)

    theirs, ours = sklearn.decomposition.NMF(**options), NMF(**options)
    expected, found = (
        penalized(X, model.fit_transform(X, **starts(X, 4)), model) for model in (theirs, ours)
    )
    assert found == pytest.approx(expected, rel=0.03)
    fit = divergence(X, ours.transform(X), ours.components_, beta)
    assert ours.reconstruction_err_**2 / 2 == pytest.approx(fit, rel=0.03)


@pytest.mark.parametrize("beta", [2, 1, 0])
def test_stronger_penalties_make_smaller_factors(beta):
    X = data()
    weak, strong = (NMF(**fixed(4, beta_loss=beta, alpha_W=a, l1_ratio=0.5)) for a in (1e-4, 1e-2))
    norms = [(model.fit_transform(X).sum(), model.components_.sum()) for model in (weak, strong)]
    assert norms[1][0] * norms[1][1] < norms[0][0] * norms[0][1]


@pytest.mark.parametrize("beta", BETAS)
def test_batches_reach_the_objective_of_the_whole(beta):
    X = data(samples=1000, seed=3)
    X = X[np.random.default_rng(0).permutation(len(X))]
    options = fixed(4, beta_loss=beta, init="random", max_iter=300)
    online = NMF(**options)
    for _ in range(3):
        for batch in np.array_split(X, 8):
            online.partial_fit(batch)
    whole = NMF(**options).fit(X)
    reached, best = (divergence(X, model.transform(X), model.components_, beta) for model in (online, whole))
    assert reached < (1.05 if 0 <= beta <= 2 else 1.5) * best
    assert online.n_samples_seen_ == 3000


def test_batches_improve_on_the_first():
    X = data(samples=1000)
    model = NMF(**fixed(4, beta_loss=1)).partial_fit(X[:20])
    first = divergence(X, model.transform(X), model.components_, 1)
    for batch in np.array_split(X[20:], 10):
        model.partial_fit(batch)
    assert divergence(X, model.transform(X), model.components_, 1) < 0.97 * first


def test_a_batch_after_a_fit_moves_its_components_by_its_share():
    X, other = data(samples=400), data(samples=20, seed=9)
    model = NMF(**fixed(4, beta_loss=1)).fit(X)
    before = model.components_
    same = clone(model).fit(X).partial_fit(X[:20]).components_
    assert np.abs(same - before).sum() < 0.1 * before.sum()
    moved = np.abs(model.partial_fit(other).components_ - before).sum()
    assert np.abs(same - before).sum() < moved < before.sum()
    assert model.n_samples_seen_ == 420


@pytest.mark.parametrize("beta", BETAS)
def test_silent_batches_do_no_harm(beta):
    X = data()
    model = NMF(**fixed(4, beta_loss=beta)).partial_fit(X)
    before = divergence(X, model.transform(X), model.components_, beta)
    for _ in range(3):
        model.partial_fit(np.zeros((10, 30)))
    assert divergence(X, model.transform(X), model.components_, beta) < 1.001 * before


@pytest.mark.parametrize("beta", [2, 1, 0])
def test_penalties_hold_in_batches(beta):
    X = data(samples=600)
    options = fixed(4, beta_loss=beta, alpha_W=0.02, l1_ratio=0.5, init="random", max_iter=1000)
    online, whole = NMF(**options), NMF(**options).fit(X)
    for _ in range(5):
        for batch in np.array_split(X, 6):
            online.partial_fit(batch)
    reached, best = (penalized(X, model.transform(X), model) for model in (online, whole))
    assert reached == pytest.approx(best, rel=0.05)


def test_input_is_never_changed():
    X = data()
    copy, given = X.copy(), starts(X, 4)
    X.flags.writeable = False
    model = NMF(**fixed(4, init="custom", max_iter=5))
    model.fit_transform(X, **given)
    model.partial_fit(X)
    assert np.array_equal(X, copy)
    assert all(np.array_equal(given[name], starts(X, 4)[name]) for name in given)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_a_scaled_matrix_gives_the_same_components(scale):
    expected = NMF(**fixed(4, beta_loss=1, init="random")).fit(data())
    found = NMF(**fixed(4, beta_loss=1, init="random")).fit(data() * scale)
    np.testing.assert_allclose(found.components_, expected.components_, atol=1e-3)


def test_works_in_pipelines_and_searches():
    X = data()
    pipeline = make_pipeline(MaxAbsScaler(), NMF(random_state=0, max_iter=1000))
    pipeline.set_params(nmf__n_components=3, nmf__beta_loss="kullback-leibler")
    assert pipeline.fit_transform(X).shape == (120, 3)
    assert pipeline.inverse_transform(pipeline.transform(X)).shape == X.shape
    error = lambda model, X, y=None: -np.linalg.norm(X - model.inverse_transform(model.transform(X)))  # noqa: E731
    search = GridSearchCV(NMF(random_state=0, max_iter=3000), {"n_components": [1, 4]}, scoring=error, cv=3)
    assert search.fit(X).best_params_ == {"n_components": 4}


def test_clones_pickles_and_shows_as_scikit_learn_does():
    X = data()
    model = NMF(**fixed(3, beta_loss=0.5)).partial_fit(X)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(model.partial_fit(X).transform(X), again.partial_fit(X).transform(X))
    assert repr(clone(model)) == "NMF(beta_loss=0.5, n_components=3, random_state=0, solver='mu', tol=0.0)"
    with pytest.raises(NotFittedError):
        clone(model).transform(X)


def test_takes_the_parameters_of_scikit_learn():
    theirs, ours = sklearn.decomposition.NMF().get_params(), NMF().get_params()
    assert ours == {**theirs, "solver": "accelerated"}


def test_the_output_has_names():
    assert list(NMF(**fixed(2)).fit(data()).get_feature_names_out()) == ["nmf0", "nmf1"]


def test_features_have_names():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(data(features=3), columns=["kick", "snare", "hihat"])
    model = NMF(**fixed(2)).set_output(transform="pandas")
    assert list(model.fit_transform(X).columns) == ["nmf0", "nmf1"]
    assert list(model.feature_names_in_) == ["kick", "snare", "hihat"]


def test_the_rank_may_be_left_open():
    X = data(features=5)
    assert NMF(**fixed("auto")).fit(X).n_components_ == NMF(**fixed(None)).fit(X).n_components_ == 5
    assert NMF(**fixed("auto", init="custom")).fit(X, **starts(X, 3)).n_components_ == 3


def test_serves_librosa():
    S = data(features=50).T  # (bins, frames), with one template after another
    model = NMF(**fixed(4, beta_loss="kullback-leibler", init="random"))
    components, activations = librosa.decompose.decompose(S, transformer=model, sort=True)
    assert (components.shape, activations.shape) == ((50, 4), (4, 120))
    assert divergence(S, components, activations, 1) == pytest.approx(
        model.reconstruction_err_**2 / 2, rel=0.02
    )
    again, _ = librosa.decompose.decompose(S, transformer=model, sort=True, fit=False)
    assert np.array_equal(components, again)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "cd"}, "'accelerated' or 'mu'"),
        ({"init": "best"}, "init='best'"),
        ({"beta_loss": "manhattan"}, "manhattan"),
        ({"beta_loss": 4}, "beta=4"),
        ({"n_components": 0}, "n_components=0"),
        ({"n_components": 1.5}, "n_components=1.5"),
        ({"tol": -1}, "tol=-1"),
        ({"alpha_W": -1}, "alpha_W=-1"),
        ({"alpha_H": "some"}, "alpha_H='some'"),
        ({"l1_ratio": 2}, "l1_ratio=2"),
        ({"max_iter": 0}, "iterations=0"),
        ({"init": "custom"}, "both W and H"),
        ({"init": "nndsvd", "n_components": 31}, "init='random'"),
    ],
)
def test_options_out_of_range_are_refused_by_name(options, message):
    with pytest.raises(OptionError, match=message):
        NMF(**{"n_components": 2, **options}).fit(data())


def test_starts_of_another_shape_are_refused_and_idle_ones_noted():
    X = data()
    with pytest.raises(MatrixError, match=r"\(120, 4\), \(4, 30\)"):
        NMF(4, init="custom").fit(X, **starts(X, 3))
    with pytest.warns(RuntimeWarning, match="init='custom'"):
        NMF(**fixed(4)).fit(X, **starts(X, 4))


def test_scikit_learn_is_imported_only_with_the_estimator():
    code = (
        "import sys, nmfaudio.nmf, nmfaudio.cli.app; assert 'sklearn' not in sys.modules; "
        "nmfaudio.NMF; assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
