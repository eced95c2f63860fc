"""Non-negative matrix factorization: matrices in, matrices out. Nothing here knows of audio.

Modules load when a name is first used: the solver's need numba, which takes a while to load.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
