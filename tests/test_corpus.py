"""Learning from a whole corpus: what the templates fit, and that they depend on nothing else."""

import numpy as np
import pytest
import soundfile
from conftest import sound

from nmfaudio import Audio, Dictionary, factorize, learn
from nmfaudio.dictionaries import corpus
from nmfaudio.dictionaries.submission import ThisProcess
from nmfaudio.dictionaries.training_frames import Spectra
from nmfaudio.errors import DictionaryError, OptionError
from nmfaudio.nmf import Divergence
from nmfaudio.nmf.shard_sums import ShardSums

OPTIONS = {"rank": 3, "iterations": 6, "whole_corpus": True}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number in range(5):
        soundfile.write(folder / f"{number}.wav", sound(0.5, seed=number).T, 8000)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("divergence", ["kl", "is", "euclidean", 0.5])
def test_each_epoch_lowers_the_divergence(clips, divergence):
    told = []
    learn(clips, "bell", **{**OPTIONS, "divergence": divergence}, report=lambda p: told.append(p.objective))
    assert len(told) > 3
    assert told[-1] < 0.9 * told[0]
    assert all(later <= earlier * (1 + 1e-4) for earlier, later in zip(told, told[1:], strict=False))


def test_templates_fit_about_as_well_as_after_as_many_updates_of_one_matrix(clips):
    found = learn(clips, "bell", rank=3, iterations=30, whole_corpus=True)
    V = np.concatenate(
        [b for clip in clips for b in Spectra(_read(clip), found.stft, 8000, 1.0, None).blocks()]
    ).T
    plain = factorize(V, 3, init="random", solver="mu", iterations=30, tolerance=0).objective[-1]
    ours = ShardSums.of(V.T.copy(), found.templates, Divergence(1), float(V.mean())).objective
    assert ours < 1.1 * plain


def _read(path):
    return Audio(soundfile.read(path)[0], 8000)


def test_sums_of_parts_are_those_of_the_whole():
    generator = np.random.default_rng(0)
    V = generator.random((90, 40)).astype(np.float32)
    W = generator.random((40, 3)).astype(np.float32)
    whole = ShardSums.of(V, W, Divergence(1), float(V.mean()))
    parts = [ShardSums.of(V[n : n + 30].copy(), W, Divergence(1), float(V.mean())) for n in (0, 30, 60)]
    added = parts[0].plus(parts[1]).plus(parts[2])
    np.testing.assert_allclose(added.gain, whole.gain, rtol=1e-4)
    np.testing.assert_allclose(added.objective, whole.objective, rtol=1e-4)
    empty = ShardSums.of(V[:0], W, Divergence(1), 0.5)
    assert np.array_equal(whole.plus(empty).gain, whole.gain)


def test_a_run_goes_on_from_its_checkpoint_to_the_same_bits(clips, tmp_path):
    class Interrupted(Exception):
        pass

    def stop(progress):
        if progress.done == 3:
            raise Interrupted

    whole, path = learn(clips, "bell", **OPTIONS), tmp_path / "bell.checkpoint"
    with pytest.raises(Interrupted):
        learn(clips, "bell", **OPTIONS, checkpoint=path, report=stop)
    assert path.exists()
    epochs = []
    again = learn(clips, "bell", **OPTIONS, checkpoint=path, report=lambda p: epochs.append(p.done))
    assert epochs[0] == 3
    assert np.array_equal(again.templates, whole.templates)
    assert not path.exists()
    path.write_bytes(b"damaged")
    assert np.array_equal(learn(clips, "bell", **OPTIONS, checkpoint=path).templates, whole.templates)


def test_a_checkpoint_of_other_settings_is_not_used(clips, tmp_path):
    path, epochs = tmp_path / "bell.checkpoint", []
    with pytest.raises(ZeroDivisionError):
        learn(clips, "bell", **OPTIONS, checkpoint=path, report=lambda p: 1 // (2 - p.done))
    learn(clips, "bell", **OPTIONS, seed=1, checkpoint=path, report=lambda p: epochs.append(p.done))
    assert epochs[0] == 0


def test_long_recordings_are_cut_into_shards(clips, monkeypatch):
    monkeypatch.setattr(corpus, "FRAMES_OF_SHARD", 7)
    submitted = []

    class Counting(ThisProcess):
        def submit(self, function, *arguments, **options):
            submitted.append(function)
            return super().submit(function, *arguments, **options)

    found = learn(clips, "bell", **OPTIONS, client=Counting())
    assert submitted.count(corpus._shard) > 2 * len(clips)
    monkeypatch.undo()
    np.testing.assert_allclose(found.templates, learn(clips, "bell", **OPTIONS).templates, atol=1e-4)


def test_what_cannot_be_learned_is_told(clips):
    silent = Audio(np.zeros(4000), 8000, name="hush")
    with pytest.raises(DictionaryError, match="hush: there is nothing but silence to learn 'bell' from"):
        learn(silent, "bell", **OPTIONS)
    with pytest.raises(OptionError, match="rank=99999: .* use at most"):
        learn(clips, "bell", **{**OPTIONS, "rank": 99999})
    with pytest.raises(OptionError, match="add_to: a whole corpus is learned from its start"):
        learn(clips, "bell", **OPTIONS, add_to=learn(clips[0], "bell", rank=1))
    with pytest.raises(DictionaryError, match="name recordings of 'bell'"):
        learn([], "bell", **OPTIONS)


def test_the_command_learns_from_a_folder(clips, tmp_path, nmfaudio):
    flags = ("--label", "bell", "--rank", 2, "--whole-corpus", "-o", "bell.safetensors")
    told = nmfaudio("learn", clips[0].parent, *flags, check=0).stdout
    assert "from 2.5 s in 5 recordings" in told
    assert Dictionary.load(tmp_path / "bell.safetensors").templates.shape[1] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["bell.safetensors"]
    refused = nmfaudio("learn", clips[0], *flags, "--start", "0.1", "--overwrite", check=2)
    assert "a whole corpus has none" in refused.stderr


def test_one_pass_fits_nearly_as_well_as_all_epochs(clips, monkeypatch):
    monkeypatch.setattr(corpus, "FRAMES_OF_SHARD", 6)
    told, options = [], {"rank": 3, "divergence": "kl", "seed": 0}
    one = learn(clips, "bell", **options, minibatch=True, report=lambda p: told.append((p.done, p.total)))
    whole = learn(clips, "bell", **options, whole_corpus=True, iterations=30)
    V = np.concatenate(
        [b for clip in clips for b in Spectra(_read(clip), one.stft, 8000, 1.0, None).blocks()]
    )
    losses = [ShardSums.of(V, d.templates, Divergence(1), float(V.mean())).objective for d in (one, whole)]
    print(losses, told)
    assert losses[0] < 1.25 * losses[1]
    assert told[-1][0] == told[-1][1] > 5
    np.testing.assert_allclose(one.templates.sum(axis=0), 1, rtol=1e-5)


def test_one_pass_keeps_one_batch_at_a_time(clips, monkeypatch):
    monkeypatch.setattr(corpus, "FRAMES_OF_SHARD", 6)
    kept, most = set(), []

    class Kept:
        def __init__(self, value):
            self.value = value
            kept.add(id(self))

        def result(self):
            return self.value

        def __del__(self):
            kept.discard(id(self))

    class Counting:
        def submit(self, function, *arguments, **_):
            values = (one.value if isinstance(one, Kept) else one for one in arguments)
            most.append(len(kept))
            return Kept(function(*values))

    learn(clips, "bell", rank=3, minibatch=True, client=Counting())
    assert max(most) < 10


def test_more_passes_fit_better_and_one_is_the_default(clips, monkeypatch):
    monkeypatch.setattr(corpus, "FRAMES_OF_SHARD", 6)
    options, told = {"rank": 3, "minibatch": True}, []
    one = learn(clips, "bell", **options)
    three = learn(clips, "bell", **options, passes=3, report=lambda p: told.append((p.done, p.total)))
    assert np.array_equal(learn(clips, "bell", **options, passes=1).templates, one.templates)
    V = np.concatenate(
        [b for clip in clips for b in Spectra(_read(clip), one.stft, 8000, 1.0, None).blocks()]
    )
    losses = [ShardSums.of(V, d.templates, Divergence(1), float(V.mean())).objective for d in (one, three)]
    assert losses[1] < 0.99 * losses[0], losses
    assert told[-1][0] == told[-1][1] == 3 * -(-told[-1][1] // 3)
    np.testing.assert_allclose(three.templates.sum(axis=0), 1, rtol=1e-5)
    with pytest.raises(OptionError, match="passes=0: it must be at least 1"):
        learn(clips, "bell", **options, passes=0)
