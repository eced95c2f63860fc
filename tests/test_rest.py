import numpy as np
import pytest
from test_learning import tone
from test_separators_dictionary import RATE, gain, mixture

from nmfaudio import STFT, Audio, Blocks, Dictionary, learn, separate
from nmfaudio.errors import OptionError
from nmfaudio.pipeline.fitting import fit
from nmfaudio.separators.dictionary import rest
from nmfaudio.separators.dictionary.agreement import Blend
from nmfaudio.separators.dictionary.fit import DictionaryFit
from nmfaudio.separators.dictionary.hints import Hints
from nmfaudio.separators.dictionary.separator import FromDictionary
from nmfaudio.separators.dictionary.templates import TemplateModel, TemplateSet
from nmfaudio.separators.guided.sharing import SharingModel
from nmfaudio.testing import check_separator


def notes(seed, number, seconds=2.0):
    """Return decaying notes of random pitches, one after another, shape (samples,)."""
    generator, total = np.random.default_rng(seed), int(seconds * RATE)
    time = np.arange(-(-total // number)) / RATE
    pitches = 200 * 10 ** generator.random(number)
    sounds = np.concatenate(
        [
            sum(np.sin(2 * np.pi * pitch * h * time) / h for h in range(1, 5)) * np.exp(-3 * time) / 5
            for pitch in pitches
        ]
    )
    return sounds[:total]


@pytest.fixture(scope="module")
def low():
    return learn(tone(300), "low", rank=2)


@pytest.fixture(scope="module")
def trio(low):
    return Dictionary.join([low, *(learn(tone(f), n, rank=2) for n, f in (("mid", 640), ("high", 1100)))])


@pytest.fixture(scope="module")
def separated(low):
    return separate(mixture()[0], FromDictionary(low))


def test_a_single_source_never_gives_back_the_mixture(separated):
    audio, parts = mixture()
    assert list(separated.stems) == ["low", "residual"]
    assert gain(separated.stems["low"].samples[0], parts[0], audio.samples[0]) > 8
    assert gain(separated.stems["residual"].samples[0], parts[1], audio.samples[0]) > 8
    assert "everything else was learned from the mixture" in separated.result.messages[0]
    assert not separated.result.warnings


@pytest.mark.parametrize("stereo", [True, False])
def test_stems_of_the_rest_are_filtered_as_rough_stems(low, monkeypatch, stereo):
    asked = []

    def filtered(model, mixture, **options):
        asked.append(options)
        return model

    monkeypatch.setattr(rest, "with_spatial_filter", filtered)
    audio = mixture()[0]
    separate(Audio(np.repeat(audio.samples, 2, axis=0), RATE), FromDictionary(low, stereo=stereo))
    assert asked == [{"rough": True, "least_difference": 0.02}] * len(asked)
    assert bool(asked) == stereo


def test_a_single_solo_has_a_residual_too():
    audio = Audio(np.concatenate([tone(300).samples[0], mixture()[0].samples[0]]), RATE)
    alone = FromDictionary(solo=("low=0-1",))
    assert alone.known_sources() == ("low", "residual")
    stems = separate(audio, alone).stems
    assert gain(stems["low"].samples[0, RATE:], mixture()[1][0], mixture()[0].samples[0]) > 8
    assert np.abs(stems["residual"].samples[0, RATE // 4 : RATE // 2]).max() < 1e-5


def test_the_rest_of_several_known_sources_is_learned_when_asked_for(trio, separated):
    known = trio.pick("low", "mid")
    assert FromDictionary(known).known_sources() == ("low", "mid")
    assert FromDictionary(known, rest=True).known_sources() == ("low", "mid", "residual")
    stems = separate(mixture()[0], FromDictionary(known, rest=True)).stems
    assert gain(stems["residual"].samples[0], mixture()[1][1], mixture()[0].samples[0]) > 5


def test_auto_rest_and_the_default_of_a_single_source_are_the_same(low, separated):
    for options in ({"free": "auto"}, {"rest": True}):
        stems = separate(mixture()[0], FromDictionary(low, **options)).stems
        assert np.array_equal(stems["low"].samples, separated.stems["low"].samples)


def test_the_contract_is_kept(low):
    assert len(check_separator(FromDictionary(low, iterations=5, free_iterations=5))) > 5


def test_a_number_and_its_automatic_choice_exclude_each_other(low):
    with pytest.raises(OptionError, match="use one of them"):
        FromDictionary(low, rest=True, free=3)
    with pytest.raises(OptionError, match='use a whole number, or "auto"'):
        FromDictionary(low, free="many")


def test_a_split_that_depends_on_the_number_of_free_templates_gives_a_warning():
    known = learn(Audio(notes(5, 3, 1.0), RATE), "harp")
    uncertain = separate(Audio(notes(1, 8) + notes(2, 12), RATE), FromDictionary(known)).result
    (warning,) = uncertain.warnings
    assert "the split between harp and the residual is uncertain" in warning
    assert "solo=" in warning
    same_notes = learn(Audio(notes(1, 8), RATE), "harp")
    certain = separate(Audio(notes(1, 8) + notes(2, 3), RATE), FromDictionary(same_notes)).result
    assert not certain.warnings


@pytest.fixture
def doubtful(monkeypatch):
    """Make few and many free templates disagree as they often do."""
    monkeypatch.setattr(rest, "disagreement", lambda *arguments: 0.4)


def kinds(model):
    """Return the largest number of templates of each averaged model, "blind" for blind components."""
    parts = [each for part in model.parts for each in getattr(part.model, "models", (part.model,))]
    return [
        "blind" if isinstance(one, SharingModel) else max(s.templates.shape[1] for s in one.template_sets)
        for one in parts
    ]


def test_where_the_split_is_doubtful_blind_components_and_transposed_templates_count(low, doubtful):
    model = fit(mixture()[0], FromDictionary(low)).model
    known = len(low.labels)  # and copies up to two semitones up and down
    assert kinds(model) == [max(5 * known + rest.MEDIUM, known + rest.MANY), "blind", known + rest.MEDIUM]
    sharpened = model.parts[0].model
    assert len(sharpened.models[0].template_sets) == 3
    assert sharpened.weights == pytest.approx((Blend.of(0.4).long, Blend.of(0.4).guided))
    assert sharpened.exponent == 1.5
    assert sum(model.part_weights) == pytest.approx(1)
    # Only separations of one kind tell how much chance decides.
    assert [len(part.alternatives) for part in model.parts] == [2, 0]
    audio, parts = mixture()
    stems = separate(audio, FromDictionary(low)).stems
    assert gain(stems["low"].samples[0], parts[0], audio.samples[0]) > 8


def test_blind_components_do_not_count_where_they_cannot_be_shared(low, trio, doubtful):
    for separator in (
        FromDictionary(low, silent=("low=0-0.5",)),
        FromDictionary(trio.pick("low", "mid"), rest=True),
    ):
        assert "blind" not in kinds(fit(mixture()[0], separator).model)


def test_transposed_templates_explain_a_note_that_was_not_learned(low):
    sharp, other = tone(300 * 2 ** (1 / 12), 2).samples, mixture()[1][1]
    blocks = Blocks(Audio(sharp + other, RATE), STFT(1024))
    computation = DictionaryFit(FromDictionary(low), low, Hints.parse(), blocks)
    plain, moved = (
        computation.free_model(blocks.stft, (1,), "", with_transposed=choice).separate(blocks.whole())["low"]
        for choice in (False, True)
    )
    true = Blocks(Audio(sharp, RATE), blocks.stft).whole().values
    errors = [np.sum(np.abs(stem.values - true) ** 2) for stem in (plain, moved)]
    assert errors[1] < 0.7 * errors[0]


def test_no_warning_asks_for_more_free_templates_where_they_take_the_known_source():
    known = learn(Audio(notes(5, 3, 1.0), RATE), "harp")
    audio = Audio(notes(1, 8) + notes(2, 12), RATE)
    few, many = (separate(audio, FromDictionary(known, free=n)).result.warnings for n in (1, 48))
    assert not [warning for warning in (*few, *many) if "explain" in warning]
    assert [warning for warning in many if "leave harp only" in warning and "rest=True" in warning]


def test_the_rest_without_templates_gets_what_the_known_templates_leave():
    V = np.random.default_rng(0).random((3, 65)).astype(np.float32)  # frames, bins
    sets = TemplateSet.of([np.eye(65)[:, :33], np.zeros((65, 0))], 30, leaves_rest=True)
    model = TemplateModel(STFT(128), ("known", "residual"), (sets,), 1.0, 1.0, 1.0)
    for part in (1, 0.25):  # of the mixture that the known templates explain
        masks = model.masks_of_set(V, sets, part * V[:, :33])
        assert np.allclose(masks.sum(axis=0), 1)
        assert np.allclose(masks[0, :, :33], part)
    allowed = np.array([[True] * 3, [False] * 3])
    assert np.allclose(model.masks_of_set(V, sets, 0.5 * V[:, :33], allowed)[1, :, :33], 0, atol=1e-4)


def test_silence_and_single_samples_have_two_stems(low):
    for samples in (np.zeros((1, RATE)), np.ones((1, 1))):
        assert list(separate(Audio(samples, RATE), FromDictionary(low)).stems) == ["low", "residual"]


def test_components_are_shown_for_the_rest(low):
    fitted = fit(mixture()[0], FromDictionary(low))
    found = fitted.model.find_components(Blocks(mixture()[0], fitted.model.stft))
    assert found is not None
    assert found.sources == ("low", "residual")
