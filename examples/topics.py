"""Topics of texts
===============

You will see twelve topics of texts: the words of each, and the module of most of its texts.

NMF finds the topics in word counts that arrive in four batches. A topic is a set of words that often occur
together. The texts are the documentation of functions in NumPy and SciPy, which are installed with nmfaudio.
The names of their modules are not used to find the topics.

::

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
COMMON_WORDS = (
    "array array_like default examples false float import int ndarray none notes optional parameters plt "
    "references return returns scipy numpy shape true used value values axis input output given bool number"
)


def documentation() -> list[tuple[str, str]]:
    """Return the name of the module and the documentation of every public function."""
    modules = {}
    for name in MODULES:
        module = importlib.import_module(name)
        members = (getattr(module, member) for member in module.__all__)
        for text in (inspect.getdoc(member) for member in members if callable(member)):
            if text and len(text) > 500:
                modules[text] = name
    return [(name, text) for text, name in modules.items()]


def main() -> None:
    """Print the words of each topic, and the module from which most of its texts come."""
    names, documents = zip(*documentation(), strict=True)
    counter = CountVectorizer(stop_words="english", token_pattern=r"[a-z_]{3,}", min_df=5, max_df=0.3)
    counts = counter.fit_transform(documents)
    vocabulary = counter.get_feature_names_out()
    is_used = np.array([word not in COMMON_WORDS.split() for word in vocabulary])
    X, words = counts[:, is_used].astype(np.float32), vocabulary[is_used]
    print(
        f"{X.shape[0]} texts, {X.shape[1]} words, {X.nnz / np.prod(X.shape):.1%} of the counts are not zero"
    )

    model = nmfaudio.NMF(12, beta_loss="kullback-leibler", init="random", random_state=0)
    order = np.random.default_rng(0).permutation(X.shape[0])
    for batch in np.array_split(order, 4):
        model.partial_fit(X[batch])
    topics = model.transform(X).argmax(axis=1)
    for topic, component in enumerate(model.components_):
        modules = Counter(name for name, own_topic in zip(names, topics, strict=True) if own_topic == topic)
        name, count = modules.most_common(1)[0]
        top_words = ", ".join(words[np.argsort(component)[:-9:-1]])
        print(f"{topic + 1:2} | {name} ({count} of {modules.total()} texts) | {top_words}")


if __name__ == "__main__":
    main()
