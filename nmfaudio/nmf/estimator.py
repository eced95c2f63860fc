"""The engine behind scikit-learn's interface; above 400 lines, because this interface is one class.

Names in here are scikit-learn's, which has samples in rows and calls the factors the other way round: its X
is V of the engine, its W the activations and its H, which becomes `components_`, the templates, all
transposed.
"""

from __future__ import annotations

import logging
import warnings
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf import online, sklearn_starts
from nmfaudio.nmf.divergence import Divergence
from nmfaudio.nmf.factorization import MEASURE_EVERY, Factorization
from nmfaudio.nmf.missing import without_missing
from nmfaudio.nmf.penalty import Penalties
from nmfaudio.nmf.prediction import prediction_error
from nmfaudio.nmf.problem import checked_matrix
from nmfaudio.nmf.solve import Init, activate, factorize
from nmfaudio.nmf.sparse import BETAS, dense, free_memory, is_sparse, transposed
from nmfaudio.nmf.sparse_entries import activate_sparse

Array = NDArray[Any]

_LOGGER = logging.getLogger("nmfaudio")
# `transform` takes up to 512 samples at a time, filled up to a multiple of 32, so that the kernels' blocks
# have 32 each: a BLAS rounds a row of a product differently in blocks of different lengths.
_SAMPLES, _BLOCK = 512, 32


class NMF(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Non-negative matrix factorization X ~ W H as a scikit-learn transformer.

    Takes the parameters of `sklearn.decomposition.NMF` and has its attributes, so one stands in for the other
    in pipelines, searches and `librosa.decompose`. The same `random_state` gives the same start.

    Parameters
    ----------
    n_components : int, None or "auto"
        Rank; None takes the number of features, and so does "auto" unless `H` is given.
    init : {None, "random", "nndsvd", "nndsvda", "nndsvdar", "sketch", "custom"}
        Where to start; None is "nndsvda", or "random" for ranks above the number of samples or features.
        "sketch", which scikit-learn does not have, is the quickest way down: see `factorize`.
        "custom" takes `W` and `H` from the call. The updates keep the zeros of "nndsvd".
    solver : {"accelerated", "mu"}
        Multiplicative updates with extrapolation, or without. There is no coordinate descent ("cd") here.
    beta_loss : {"frobenius", "kullback-leibler", "itakura-saito"} or float
        The divergence, or any beta in [-1, 3]. X may hold zeros at every beta.
    tol : float
        Stop when ten iterations lowered `reconstruction_err_` by less than this part of its first value.
        `transform` does not stop early, so that its answer for a sample does not depend on other samples.
    max_iter : int
        At most so many iterations in `fit`, exactly so many in `transform`.
    random_state : int, RandomState or None
        Seed of the start.
    alpha_W, alpha_H : float
        Weights of the penalties on W (times the number of features) and on H (times the number of samples);
        `alpha_H="same"` takes that of W.
    l1_ratio : float
        Which part of the penalties is on the sum of entries; the rest is on half the sum of their squares.
    verbose : int
        Not 0: tell the logger "nmfaudio" the error every ten iterations, at level INFO.
    shuffle : bool
        Belongs to coordinate descent; has no effect.

    Attributes
    ----------
    components_ : ndarray, shape (n_components, n_features)
        H. After a `fit` without penalties, rows sum to one.
    n_components_ : int
        Rank.
    reconstruction_err_ : float
        Square root of twice the divergence of X from W H, in the last `fit`.
    n_iter_ : int
        Iterations of the last `fit`.
    n_samples_seen_ : int
        Samples that `components_` were learned from.
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    Examples
    --------
    >>> X = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.2], [4.0, 1.0], [5.0, 0.8], [6.0, 1.0]])
    >>> model = NMF(2, beta_loss="kullback-leibler", random_state=0, max_iter=1000)
    >>> W = model.fit_transform(X)
    >>> print(np.abs(W @ model.components_ - X).max() < 0.05)
    True
    """

    components_: Array
    n_samples_seen_: int
    _statistics: online.Statistics | None

    def __init__(
        self,
        n_components: int | str | None = "auto",
        *,
        init: str | None = None,
        solver: str = "accelerated",
        beta_loss: str | float = "frobenius",
        tol: float = 1e-4,
        max_iter: int = 200,
        random_state: Any = None,
        alpha_W: float = 0.0,
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        verbose: int = 0,
        shuffle: bool = False,
    ) -> None:
        self.n_components = n_components
        self.init = init
        self.solver = solver
        self.beta_loss = beta_loss
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.alpha_W = alpha_W
        self.alpha_H = alpha_H
        self.l1_ratio = l1_ratio
        self.verbose = verbose
        self.shuffle = shuffle

    def fit(self, X: Any, y: Any = None, W: Any = None, H: Any = None) -> Self:
        """Learn the components of X.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Not negative. Missing entries, which are NaN or masked in a masked array, are left out of the
            error. A sparse X costs time and memory in proportion to its stored entries where `beta_loss` is
            "frobenius" or "kullback-leibler"; with others a few rows at a time are made dense.
        y : ignored
            There for scikit-learn.
        W, H : array_like, optional
            Where to start with `init="custom"`: (n_samples, n_components) and (n_components, n_features).

        Returns
        -------
        NMF
            This estimator.
        """
        X = self._checked(X, reset=True)
        _, converged = self._factorized(X, W, H)
        if self.tol > 0 and not converged:
            warnings.warn(
                f"NMF was still improving after max_iter={self.max_iter} iterations: raise max_iter, or tol",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def fit_transform(self, X: Any, y: Any = None, W: Any = None, H: Any = None) -> Array:
        """Learn the components of X, and return their weights in each sample.

        Parameters
        ----------
        X, y, W, H
            As for `fit`.

        Returns
        -------
        ndarray, shape (n_samples, n_components)
            W: what `fit` and then `transform` give.
        """
        weights: Array = self.fit(X, W=W, H=H).transform(X)
        return weights

    def transform(self, X: Any) -> Array:
        """Return the weights of the components in each sample.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Not negative.

        Returns
        -------
        ndarray, shape (n_samples, n_components)
            W, in the type of X. A sample's row is the same whatever other samples are there.
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        self._check_options()
        options: dict[str, Any] = {
            "divergence": self.beta_loss,
            "penalties": self._penalties(X.shape),
            "iterations": self.max_iter,
        }
        if self._stays_sparse(X):
            return activate_sparse(transposed(X), self.components_.T, **options)
        W = np.empty((X.shape[0], self.n_components_), X.dtype)
        for start in range(0, len(W), _SAMPLES):
            rows = slice(start, start + _SAMPLES)
            V = _filled_up(dense(X[rows])).T
            W[rows] = activate(V, self.components_.T, tolerance=0, **options).H.T[: len(W) - start]
        return W

    def inverse_transform(self, X: Any) -> Array:
        """Return W H.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_components)
            W, as `transform` gives it.

        Returns
        -------
        ndarray, shape (n_samples, n_features)
            In the place of the data.
        """
        check_is_fitted(self)
        product: Array = X @ self.components_
        return product

    def partial_fit(self, X: Any, y: Any = None, W: Any = None, H: Any = None) -> Self:
        """Learn from a batch of samples, and remember what earlier batches said.

        The first batch is fitted as by `fit`, so it should be several times larger than the rank; each later
        one moves the components by a step that shrinks as data come in. Batches should be drawn at random.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Not negative.
        y : ignored
            There for scikit-learn.
        W, H : array_like, optional
            Where to start, with `init="custom"`, in the first call.

        Returns
        -------
        NMF
            This estimator.
        """
        if "components_" not in vars(self):
            X = self._checked(X, reset=True)
            factorization, _ = self._factorized(X, W, H)
            self._statistics = online.Statistics.of(
                self._batch(X), factorization.W, factorization.H, factorization.divergence
            )
            return self
        X = self._checked(X, reset=False)
        self._check_options()
        V, templates, penalties = self._batch(X), self.components_.T, self._penalties(X.shape)
        divergence = Divergence.of(self.beta_loss)
        if self._statistics is None:
            self._statistics = online.rested(V, templates, self.n_samples_seen_, divergence, penalties)
        templates, self._statistics = online.learn(V, templates, self._statistics, divergence, penalties)
        self.components_ = np.ascontiguousarray(templates.T, self.components_.dtype)
        self.n_samples_seen_ = self._statistics.frames
        return self

    def score(self, X: Any, y: Any = None) -> float:
        """Return how well the components predict features of new samples, for `GridSearchCV`.

        A fifth of the features at a time is hidden; the weights of the components are found from the other
        features, and predict the hidden ones. So the score falls where more components describe noise.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Not negative, with at least two features; missing entries are left out.
        y : ignored
            There for scikit-learn.

        Returns
        -------
        float
            The mean divergence of a hidden entry from its prediction, with a minus sign: higher is better.
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        self._check_options()
        return -prediction_error(
            X.T,
            self.components_.T,
            divergence=Divergence.of(self.beta_loss),
            penalties=self._penalties(X.shape),
            iterations=self.max_iter,
        )

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _checked(self, X: Any, reset: bool) -> Any:
        """Return X as an array, or a CSR matrix, of floats that are not negative."""
        if isinstance(X, np.ma.MaskedArray):
            X = np.ma.filled(X.astype(np.result_type(X.dtype, np.float32)), np.nan)
        return validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_non_negative=True,
        )

    def _stays_sparse(self, X: Any) -> bool:
        """Return whether the work on X follows its stored entries."""
        return is_sparse(X) and Divergence.of(self.beta_loss).beta in BETAS

    def _batch(self, X: Any) -> Any:
        """Return a batch transposed, as `online` takes it."""
        batch = X if self._stays_sparse(X) else dense(X)
        if not is_sparse(batch) and np.isnan(batch.min()):
            raise MatrixError("X has missing entries (NaN): partial_fit needs all entries; use fit")
        return batch.T

    def _check_options(self) -> None:
        """Say which option is wrong; scikit-learn wants constructors to take anything."""
        if self.solver not in ("accelerated", "mu"):
            raise OptionError(
                f"solver={self.solver!r}: nmfaudio has only multiplicative updates: use 'accelerated' or 'mu'"
            )
        if self.init not in (None, "custom", "sketch", *sklearn_starts.NAMES):
            known = ", ".join((*sklearn_starts.NAMES, "sketch"))
            raise OptionError(f"init={self.init!r} is not known: use None, {known} or custom")
        numbers: dict[str, Any] = {
            "tol": self.tol,
            "alpha_W": self.alpha_W,
            "alpha_H": self._alpha_H,
            "l1_ratio": self.l1_ratio,
        }
        for name, number in numbers.items():
            if not isinstance(number, Real) or not float(number) >= 0:
                raise OptionError(f"{name}={number!r}: it must be a number that is not negative")
        if self.l1_ratio > 1:
            raise OptionError(f"l1_ratio={self.l1_ratio}: it must lie within [0, 1]")

    @property
    def _alpha_H(self) -> Any:
        return self.alpha_W if self.alpha_H == "same" else self.alpha_H

    def _rank(self, X: Any, H: Any) -> int:
        rank: Any = self.n_components
        if rank == "auto" and self.init == "custom" and H is not None:
            return len(H)
        if rank is None or rank == "auto":
            return int(X.shape[1])
        if not isinstance(rank, Integral) or int(rank) < 1:
            raise OptionError(f"n_components={rank!r}: use a whole number from 1, 'auto' or None")
        return int(rank)

    def _penalties(self, shape: tuple[int, int]) -> Penalties:
        """Return the penalties for data of this shape; scikit-learn's W is the engine's H."""
        samples, features = shape
        on_W, on_H = features * self.alpha_W, samples * self._alpha_H
        l1, l2 = self.l1_ratio, 1 - self.l1_ratio
        return Penalties(l1_W=l1 * on_H, l2_W=l2 * on_H, l1_H=l1 * on_W, l2_H=l2 * on_W)

    def _factorized(self, X: Any, W: Any, H: Any) -> tuple[Factorization, bool]:
        """Factor X and keep what was found; say, too, whether it had settled."""
        self._check_options()
        rank, penalties, monitor = (
            self._rank(X, H),
            self._penalties(X.shape),
            _ConvergenceMonitor(self.tol, self.verbose),
        )
        _check_memory(X, rank)
        seed, init = self._start(X, rank, W, H, fix_scale=penalties.fix_scale)
        factorization = factorize(
            transposed(X) if is_sparse(X) else X.T,
            rank,
            divergence=self.beta_loss,
            solver=self.solver,
            init=init,
            seed=seed,
            iterations=self.max_iter,
            tolerance=0,
            callback=monitor,
            penalties=penalties,
        )
        self.components_ = np.ascontiguousarray(factorization.W.T, X.dtype)
        self.n_components_, self.n_iter_ = rank, factorization.iterations
        self.n_samples_seen_, self._statistics = X.shape[0], None
        self.reconstruction_err_ = _error(factorization.objective[-1] - _penalty(penalties, factorization))
        return factorization, monitor.converged

    def _start(self, X: Any, rank: int, W: Any, H: Any, *, fix_scale: bool) -> tuple[int, Init]:
        """Return a seed and a start, as `factorize` takes them."""
        if self.init != "custom" and (W is not None or H is not None):
            warnings.warn("W and H are ignored unless init='custom'", RuntimeWarning, stacklevel=4)
        if self.init == "sketch":
            return int(check_random_state(self.random_state).randint(2**31 - 1)), "sketch"
        if self.init == "custom":
            W, H = self._given(X, rank, W, H)
        else:
            filled = without_missing(X, None)[0]
            W, H = sklearn_starts.start(filled, rank, self.init, self.random_state)
        if not fix_scale:
            # Whatever the level of X, templates that sum to one are within float32.
            total = H.sum(axis=1)
            used = total[:, None] > 0
            W, H = W * total, np.divide(H, total[:, None], out=np.zeros_like(H), where=used)
        return 0, (H.T, W.T)

    def _given(self, X: Any, rank: int, W: Any, H: Any) -> tuple[Array, Array]:
        if W is None or H is None:
            raise OptionError("init='custom' takes both W and H: pass them to fit or fit_transform")
        W, H = (checked_matrix(factor, name, "to start from") for factor, name in ((W, "W"), (H, "H")))
        expected = (X.shape[0], rank), (rank, X.shape[1])
        if (W.shape, H.shape) != expected:
            raise MatrixError(f"W and H have shapes {W.shape} and {H.shape}: they must be {expected}")
        return W, H


class _ConvergenceMonitor:
    """Stops when the error falls too little, as scikit-learn measures it, and tells the logger."""

    def __init__(self, tolerance: float, verbose: int) -> None:
        self._tolerance, self._verbose = tolerance, verbose
        self._errors: list[tuple[int, float]] = []
        self.converged = False

    def __call__(self, iteration: int, objective: float) -> bool:
        error = _error(objective)
        if self._verbose:
            _LOGGER.info("iteration %d: error %.6g", iteration, error)
        before = [value for then, value in self._errors if then <= iteration - MEASURE_EVERY]
        self._errors.append((iteration, error))
        if before and self._tolerance > 0:
            self.converged = before[-1] - error < self._tolerance * self._errors[0][1]
        return self.converged


def _penalty(penalties: Penalties, factorization: Factorization) -> float:
    """Return what penalties have added to the objective."""
    factors = (
        (factorization.W, penalties.l1_W, penalties.l2_W),
        (factorization.H, penalties.l1_H, penalties.l2_H),
    )
    return sum(
        float(np.asarray(l1) * factor.sum(dtype=np.float64) + np.asarray(l2) * np.vdot(factor, factor) / 2)
        for factor, l1, l2 in factors
        if np.any(l1) or np.any(l2)
    )


def _check_memory(X: Any, rank: int) -> None:
    """Refuse a sparse X whose factors, which are dense, do not fit into memory."""
    needed, free = 8 * rank * sum(X.shape), free_memory()
    if is_sparse(X) and needed > free:
        raise MatrixError(
            f"X has shape {X.shape}: W and H for n_components={rank} take {needed} bytes, and {free:.0f} are "
            "free: use fewer components, or drop samples or features"
        )


def _error(objective: float) -> float:
    return float(np.sqrt(2 * max(objective, 0.0)))


def _filled_up(X: Array) -> Array:
    """Append samples of zeros up to whole blocks."""
    missing = -len(X) % _BLOCK
    return np.concatenate([X, np.zeros((missing, X.shape[1]), X.dtype)]) if missing else X
