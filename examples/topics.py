"""Find topics in texts: NMF of word counts, learned batch by batch.

The texts are the documentation of functions in NumPy and SciPy, which are there wherever nmfaudio is. A topic
is a set of words that come together. Which module a text is from is not told: it only names what was found.

    python examples/topics.py
"""

import importlib
import inspect
from collections import Counter

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

import nmfaudio

MODULES = (
    "numpy.fft",
    "numpy.linalg",
    "numpy.polynomial.polynomial",
    "scipy.integrate",
    "scipy.interpolate",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.signal.windows",
    "scipy.spatial.distance",
    "scipy.stats",
)
EVERYWHERE = (
    "array array_like default examples false float import int ndarray none notes optional parameters plt "
    "references return returns scipy numpy shape true used value values axis input output given bool number"
)


def texts() -> list[tuple[str, str]]:
    """Return the documentation of every public function, with its module."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(name)
        members = (getattr(module, member) for member in module.__all__)
        for text in (inspect.getdoc(member) for member in members if callable(member)):
            if text and len(text) > 500:
                found[text] = name
    return [(name, text) for text, name in found.items()]


def main() -> None:
    """Print the words of each topic, and the module that most of its texts come from."""
    names, documents = zip(*texts(), strict=True)
    counter = CountVectorizer(stop_words="english", token_pattern=r"[a-z_]{3,}", min_df=5, max_df=0.3)
    counts = counter.fit_transform(documents)
    vocabulary = counter.get_feature_names_out()
    kept = np.array([word not in EVERYWHERE.split() for word in vocabulary])
    X, words = counts[:, kept].astype(np.float32), vocabulary[kept]
    print(
        f"{X.shape[0]} texts, {X.shape[1]} words, {X.nnz / np.prod(X.shape):.1%} of the counts are not zero"
    )

    model = nmfaudio.NMF(12, beta_loss="kullback-leibler", init="random", random_state=0)
    order = np.random.default_rng(0).permutation(X.shape[0])
    for batch in np.array_split(order, 4):
        model.partial_fit(X[batch])
    topics = model.transform(X).argmax(axis=1)
    for topic, component in enumerate(model.components_):
        modules = Counter(name for name, own in zip(names, topics, strict=True) if own == topic)
        name, count = modules.most_common(1)[0]
        best = ", ".join(words[np.argsort(component)[:-9:-1]])
        print(f"{topic + 1:2} | {name} ({count} of {modules.total()} texts) | {best}")


if __name__ == "__main__":
    main()
