"""The update of the templates, and the copies of them in the layouts that `kernels.py` reads.

One pass over the panels of T adds up the sums of all portions, updates the templates, and writes every copy
while the panel is in the cache. Between two updates of the activations only one thread works: each pass in
NumPy over matrices of this size would take that thread some tenths of a millisecond.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmfaudio.nmf.compilation import compiled, inlined
from nmfaudio.nmf.intrinsics import PANEL, whole_registers
from nmfaudio.nmf.layout import (
    BIN_MULTIPLE,
    LARGEST,
    LINE,
    NEGLIGIBLE,
    SMALLEST,
    Buffer,
    Sums,
    Templates,
    aligned,
    padded,
)

_compiled = compiled()
_inlined = inlined()


class Rule(NamedTuple):
    """How the templates change. All arrays have the shape (components,).

    `linear`, and `quadratic` times the template, are added to the denominator. Templates that are not `free`
    stay as they are. `exponent` is that of the quotient.
    """

    linear: Buffer
    quadratic: Buffer
    free: NDArray[np.bool_]
    exponent: float


def packed(templates: Templates, *, products: bool, floor: float) -> Templates:
    """Return templates with the copies that the loops need; `products` where beta is 2."""
    T = templates.T
    if not templates.panels.size:
        zeros, no_sums = np.zeros(len(T), np.float32), np.empty((0, 0, 0), np.float32)
        unchanged = Rule(zeros, zeros, zeros > 0, 1.0)
        given = templates._replace(panels=in_panels(T))
        templates = updated(given, (no_sums,) * 3, unchanged, floor)
    return templates._replace(products=in_panels(padded(T @ T.T))) if products else templates


def updated(templates: Templates, sums: Sums, rule: Rule, floor: float) -> Templates:
    """Return new templates with their copies, and set the sums to zero.

    The denominators among the sums are in panels, or one number for each component.
    """
    rows, bins = templates.T.shape
    width = -(-rows // LINE) * LINE
    memory = aligned(2 * rows + width, bins, BIN_MULTIPLE)
    T, panels, columns = memory[:rows], memory[rows : 2 * rows], memory[2 * rows :]
    columns[rows // PANEL * PANEL :] = 0
    new = Templates(
        T,
        np.empty(rows),
        panels.reshape(-1, rows * PANEL),
        columns.reshape(-1, bins * PANEL),
        least=np.empty(rows, np.float32),
    )
    _update(templates, new, sums, rule, floor)
    return new


def in_panels(matrix: Buffer) -> Buffer:
    """Return the columns of a padded matrix in panels, each of which is a row."""
    rows, columns = matrix.shape
    count = columns // PANEL
    panels = aligned(count, rows * PANEL)[:count]
    panels.reshape(count, rows, PANEL)[:] = matrix.reshape(rows, count, PANEL).swapaxes(0, 1)
    return panels


@_compiled
def _update(old: Templates, new: Templates, sums: Sums, rule: Rule, floor: float) -> None:
    """Write all fields of `new` but `products`."""
    whole_registers()
    rows, size = len(new.T), new.panels.shape[1]
    linear, quadratic, least = _zeros(size), _zeros(size), _zeros(size)
    ratio, denominator, largest = _zeros(size), _zeros(size), _zeros(size)
    total, uniform = np.empty(size), sums[1].shape[1] == 1
    for i in range(size):
        total[i] = 0
    for k in range(len(rule.free)):
        added = rule.linear[k] + (_take_number(sums[1], k) if uniform else np.float32(0))
        limit = _least_entry(floor, _take_largest(sums[2], k))
        for i in range(k * PANEL, (k + 1) * PANEL):
            linear[i], quadratic[i], least[i] = added, rule.quadratic[k], limit
    for p in range(len(new.panels)):
        before, panel = old.panels[p], new.panels[p]
        _take_panel(sums[0], p, ratio)
        if not uniform:
            _take_panel(sums[1], p, denominator)
        for i in range(size):
            below = denominator[i] + (linear[i] + quadratic[i] * before[i])
            ratio[i] = ratio[i] / below if below > 0 else np.float32(1)
        _raise(ratio, rule.exponent)
        for i in range(size):
            value = before[i] * ratio[i]
            panel[i] = np.float32(0) if value < least[i] else value
        for k in range(len(rule.free)):
            for i in range(k * PANEL, 0 if rule.free[k] else (k + 1) * PANEL):
                panel[i] = before[i]
        for i in range(size):
            largest[i] = _larger(panel[i], largest[i])
        for i in range(size):
            total[i] += np.float64(panel[i])
        _spread(panel, p * PANEL, new.T, new.columns)
    for k in range(rows):
        new.sums[k], peak = 0, np.float32(0)
        for i in range(k * PANEL, (k + 1) * PANEL):
            new.sums[k] += total[i]
            peak = _larger(peak, largest[i])
        new.least[k] = _least_entry(floor, peak)


@_compiled
def _spread(panel: Buffer, first: int, T: Buffer, columns: Buffer) -> None:
    """Write a panel of T to the columns of T from `first` on, and transposed to `columns`."""
    for k in range(len(T)):
        row = T[k, first : first + PANEL]
        for i in range(PANEL):
            row[i] = panel[k * PANEL + i]
    for start in range(0, len(T), PANEL):
        square = columns[start // PANEL, first * PANEL : (first + PANEL) * PANEL]
        part, count = panel[start * PANEL :], min(PANEL, len(T) - start)
        for i in range(PANEL):
            for k in range(count):
                square[i * PANEL + k] = part[k * PANEL + i]


@_compiled
def _zeros(size: int) -> Buffer:
    zeros = np.empty(size, np.float32)  # `np.zeros` would take half a second more to compile
    for i in range(size):
        zeros[i] = np.float32(0)
    return zeros


@_inlined
def _larger(a: Any, b: Any) -> Any:
    return a if a > b else b  # `max` would be compiled for each pair of types


@_inlined
def _least_entry(floor: float, largest: Any) -> Any:
    """Return what `layout.least_entries` returns for one component."""
    least = np.float32(NEGLIGIBLE * floor / np.float64(_larger(largest, SMALLEST)))
    return least if least < LARGEST else LARGEST


@_inlined
def _take_number(sums: Buffer, k: int) -> np.float32:
    """Add up a number of all portions, in their order, and set it to zero."""
    total = np.float32(0)
    for portion in range(sums.shape[0]):
        total += sums[portion, 0, k]
        sums[portion, 0, k] = np.float32(0)
    return total


@_inlined
def _take_largest(sums: Buffer, k: int) -> np.float32:
    """Return the largest number of all portions, and set it to zero."""
    largest = np.float32(0)
    for portion in range(sums.shape[0]):
        largest = _larger(largest, sums[portion, 0, k])
        sums[portion, 0, k] = np.float32(0)
    return largest


@_compiled
def _take_panel(sums: Buffer, p: int, total: Buffer) -> None:
    """Add up a panel of all portions, in their order, and set it to zero."""
    whole_registers()
    for i in range(total.size):
        total[i] = np.float32(0)
    for portion in range(sums.shape[0]):
        part = sums[portion, p]
        for i in range(total.size):
            total[i] += part[i]
        for i in range(total.size):
            part[i] = np.float32(0)


@_inlined
def _raise(ratio: Buffer, exponent: float) -> None:
    if exponent == 0.5:
        for i in range(ratio.size):
            ratio[i] = np.sqrt(ratio[i])
    elif exponent != 1:
        for i in range(ratio.size):
            ratio[i] = ratio[i] ** np.float32(exponent)
