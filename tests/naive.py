"""Simple float64 versions of the kernels, written loop by loop after the equations of the papers."""

import numpy as np


def update_exponent(beta):
    if beta < 1:
        return 1 / (2 - beta)
    return 1 / (beta - 1) if beta > 2 else 1.0


def divergence(V, P, beta):
    total = 0.0
    for v, p in zip(np.ravel(V), np.ravel(P), strict=True):
        if beta == 1:
            total += (v * np.log(v / p) if v > 0 else 0.0) - v + p
        elif beta == 0:
            total += v / p - np.log(v / p) - 1
        else:
            total += (v**beta + (beta - 1) * p**beta - beta * v * p ** (beta - 1)) / (beta * (beta - 1))
    return total


def update_activations(V, W, H, beta, floor):
    bins, frames = V.shape
    new = H.copy()
    for n in range(frames):
        model = [sum(W[f, k] * H[k, n] for k in range(W.shape[1])) + floor for f in range(bins)]
        for k in range(W.shape[1]):
            gain = sum(W[f, k] * V[f, n] * model[f] ** (beta - 2) for f in range(bins))
            weight = sum(W[f, k] * model[f] ** (beta - 1) for f in range(bins))
            new[k, n] = H[k, n] * (gain / weight) ** update_exponent(beta)
    return new


def update_templates(V, W, H, beta, floor):
    return update_activations(V.T, H.T, W.T, beta, floor).T


def factorize(V, W, H, beta, iterations, floor=1e-300):
    """Alternate the updates, activations first; the last iteration does not update the templates."""
    curve = []
    offset = floor if beta < 1 else 0.0
    V, W, H = (np.asarray(a, np.float64) for a in (V, W, H))
    for iteration in range(iterations):
        H = update_activations(V + offset, W, H, beta, floor)
        curve.append(divergence(V + offset, W @ H + floor, beta))
        if iteration < iterations - 1:
            W = update_templates(V + offset, W, H, beta, floor)
    return W, H, curve


def convolved(W, H):
    """Return the model of convolutive factorization: W (components, bins, lags), H (components, frames)."""
    rank, bins, lags = W.shape
    P = np.zeros((bins, H.shape[1]))
    for k in range(rank):
        for t in range(lags):
            for n in range(t, H.shape[1]):
                P[:, n] += W[k, :, t] * H[k, n - t]
    return P


def convolve(V, W, H, beta, iterations, floor):
    """Alternate the updates, activations first; the last iteration does not update the templates."""
    curve = []
    V = V + (floor if beta < 1 else 0.0)
    rank, bins, lags = W.shape
    for iteration in range(iterations):
        P, gain, weight = convolved(W, H) + floor, np.zeros_like(H), np.zeros_like(H)
        for k in range(rank):
            for n in range(H.shape[1]):
                for t in range(min(lags, H.shape[1] - n)):
                    gain[k, n] += W[k, :, t] @ (V * P ** (beta - 2))[:, n + t]
                    weight[k, n] += W[k, :, t] @ (P ** (beta - 1))[:, n + t]
        H = H * (gain / weight) ** update_exponent(beta)
        P = convolved(W, H) + floor
        curve.append(divergence(V, P, beta))
        if iteration < iterations - 1:
            gain, weight = np.zeros_like(W), np.zeros_like(W)
            for k in range(rank):
                for t in range(lags):
                    for n in range(t, H.shape[1]):
                        gain[k, :, t] += H[k, n - t] * (V * P ** (beta - 2))[:, n]
                        weight[k, :, t] += H[k, n - t] * (P ** (beta - 1))[:, n]
            W = W * (gain / weight) ** update_exponent(beta)
    return W, H, curve
