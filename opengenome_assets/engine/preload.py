"""Importing and compiling what workers need, once, in the process that they are forked from.

Belongs here: what a warm process has loaded. Does not belong here: which modules those are; the groups name them.
"""

import gc
from collections.abc import Iterable
from importlib import import_module

# Carries the modules' names, with commas between, to the process that Spark's workers are forked from.
VARIABLE = "OPENGENOME_PRELOAD"


def preload(modules: Iterable[str]) -> None:
    """Import modules and compile every kernel, so that processes forked from this one start warm.

    Raises
    ------
    ImportError
        If there is no such module.
    """
    from opengenome_assets.kernels.warm import warm  # imports Numba, which the caller's process need not have

    for module in modules:
        import_module(module)
    import_module("pandas")  # pyarrow imports it for the first array that it makes of NumPy's
    warm()
    gc.freeze()  # a worker's garbage collection skips what was loaded here, which saves a tenth of a second per task
