"""Separation of known sources from an unknown rest, with a number of free templates that needs no choice.

Separations of several kinds are averaged: with few, some and many free templates, with a long and a short
window, with the known templates alone and with transposed copies of them. One more shares blind components
between the known source and the rest. The weights follow from how well few and many free templates agree. The
mean of these components and of the separations with the long window is made sharper by a second mask.
"""

from __future__ import annotations

from dataclasses import replace

from nmfaudio.models.combination import Combination
from nmfaudio.models.contract import Model
from nmfaudio.models.sharpened import SharpenedMean
from nmfaudio.models.spatially_filtered import with_spatial_filter
from nmfaudio.separators.blind.search import ComponentSearch
from nmfaudio.separators.dictionary.agreement import UNCERTAIN, Blend, disagreement
from nmfaudio.separators.dictionary.diagnosis import shared_template_warnings
from nmfaudio.separators.dictionary.fit import FREE_FRAMES, DictionaryFit
from nmfaudio.separators.dictionary.templates import TemplateModel
from nmfaudio.separators.guided.grouping import Guide
from nmfaudio.separators.guided.sharing import sharing_model
from nmfaudio.sound.stft import STFT

LONG_WINDOW, SHORT_WINDOW = 0.0929, 0.0116  # seconds
FEW, SOME, MEDIUM, MANY = 4, 8, 16, 32  # numbers of free templates
_SETS = ("few", "some", "many", "known alone")  # template sets of the model with the long window, in order
_GUIDED_ITERATIONS = 100  # updates of the blind components
# Least difference between positions for a filter across channels. With 0.02 instead of 0.05, an orchestra
# behind a singer gained 1.0 dB more, and 19 other separations changed by -0.4 to +0.2 dB, by 0 in the mean.
_LEAST_DIFFERENCE = 0.02


def model_with_rest(fit: DictionaryFit) -> Model:
    """Return a model of the known sources and of the rest.

    Parameters
    ----------
    fit : DictionaryFit
        The known sources, the hints and the mixture.
    """
    if (by_place := fit.by_place_with_rest(MEDIUM)) is not None:
        return by_place
    long = _long_model(fit)
    measured = disagreement(long, _SETS.index("few"), _SETS.index("many"), fit.mixture)
    blend = Blend.of(measured, guidable=_can_be_guided(fit))
    known = fit.known.to_settings(fit.mixture.sample_rate, long.stft)
    warnings = [*shared_template_warnings(known), *_uncertainty(fit, measured)]
    transposed = _transposed_model(fit) if blend.transposed > 0 else None
    main: Model = _filtered(_weighted(long, transposed, blend), fit)
    if transposed is not None and blend.guided > 0:
        guided = _filtered(_guided_model(fit, transposed), fit)
        main = SharpenedMean((main, guided), (blend.long, blend.guided), blend.exponent)
    models, weights = [main], [blend.long + blend.guided]
    if blend.short > 0:
        models.append(_filtered(_short_model(fit, blend), fit))
        weights.append(blend.short)
    messages = (*long.messages, *_choice(fit, measured))
    return Combination(tuple(models), messages, tuple(warnings), tuple(weights))


def _filtered(model: Model, fit: DictionaryFit) -> Model:
    """Return the means of the stems and of stems that a filter across channels refines, where it helps."""
    if not fit.options.stereo:
        return model
    return with_spatial_filter(model, fit.mixture, rough=True, least_difference=_LEAST_DIFFERENCE)


def _can_be_guided(fit: DictionaryFit) -> bool:
    """Whether blind components can be shared: there is one known source, and it may sound everywhere."""
    return len(fit.known.sources) == 1 and not (fit.hints.solos or fit.hints.silences)


def _long_model(fit: DictionaryFit) -> TemplateModel:
    """Return the model with the long window and one template set for each of `_SETS`."""
    stft = STFT.lasting(LONG_WINDOW, fit.mixture.sample_rate)
    return fit.free_model(stft, (FEW, SOME, MANY), "learning the rest, long window", known_alone=True)


def _transposed_model(fit: DictionaryFit) -> TemplateModel:
    """Return a model with the long window, whose known sources can also play notes that were not learned."""
    stft = STFT.lasting(LONG_WINDOW, fit.mixture.sample_rate)
    return fit.free_model(stft, (MEDIUM,), "learning the rest, transposed templates", with_transposed=True)


def _weighted(long: TemplateModel, transposed: TemplateModel | None, blend: Blend) -> TemplateModel:
    """Return the model with the weights of a blend, its main template set first, without unused ones."""
    weights = (blend.few, blend.some, blend.many, blend.known_alone)
    sets = [replace(s, weight=w) for s, w in zip(long.template_sets, weights, strict=True) if w > 0]
    sets.sort(key=lambda one: (one.leaves_rest, -one.weight))
    copies = transposed.template_sets if transposed else ()
    sets += [replace(one, weight=blend.transposed, of_another_kind=True) for one in copies]
    return replace(long, template_sets=tuple(sets))


def _short_model(fit: DictionaryFit, blend: Blend) -> TemplateModel:
    """Return the model with the short window: medium numbers of free templates, and few where unsure."""
    stft = STFT.lasting(SHORT_WINDOW, fit.mixture.sample_rate)
    weights = [w for w in (blend.short_medium, blend.short_few) if w > 0]
    model = fit.free_model(stft, (MEDIUM, FEW)[: len(weights)], "learning the rest, short window")
    sets = [replace(s, weight=w) for s, w in zip(model.template_sets, weights, strict=True)]
    if blend.few == 0:  # few free templates do not count with the long window either
        sets[1:] = [replace(one, of_another_kind=True) for one in sets[1:]]
    return replace(model, template_sets=tuple(sets))


def _guided_model(fit: DictionaryFit, guide: TemplateModel) -> Model:
    """Return a model of blind components, which are shared between the known source and the rest.

    A component follows one sound of this mixture, and its timbre and its envelope decide to whom it belongs.
    So the known source may also play notes that were not learned.
    """
    mixture = fit.mixture.with_stft(guide.stft)
    search = ComponentSearch(
        mixture,
        divergence="kl",
        iterations=_GUIDED_ITERATIONS,
        seed=fit.options.seed,
        most_values=FREE_FRAMES * mixture.channels * mixture.stft.bins,
    )
    return sharing_model(Guide(guide, fit.known.sources[0]), search)


def _choice(fit: DictionaryFit, measured: float) -> tuple[str, ...]:
    """Return messages about what was learned, and how certain the split is."""
    listed = " and ".join(fit.known.sources)
    word = "little" if measured < UNCERTAIN else "much"
    return (
        f"known: {listed}; everything else was learned from the mixture as the stem `residual` (separations "
        f"with {FEW} and {MANY} free templates differ {word}: by {100 * measured:.0f} %)",
    )


def _uncertainty(fit: DictionaryFit, measured: float) -> list[str]:
    """Return a warning where few and many free templates disagree about the known sources."""
    if measured < UNCERTAIN:
        return []
    listed = " and ".join(fit.known.sources)
    return [
        f"the split between {listed} and the residual is uncertain: it depends on the number of free "
        f"templates more than on the mixture. Add recordings of {listed} playing the notes of this mixture "
        "(nmfaudio learn --add-to), or give the passages where a source is alone or silent (solo=..., "
        "silent=...). Where another sound is alone, such as wind before a bird calls, teach that sound "
        "instead (solo='wind=0:00-0:03') and keep the residual"
    ]
