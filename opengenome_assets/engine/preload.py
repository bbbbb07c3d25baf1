"""Preloading: importing and compiling the workers' modules once, in the process that they are forked from.

Belongs here: what a warm process has loaded. Does not belong here: the list of modules, which the groups name.
"""

import gc
from collections.abc import Iterable
from importlib import import_module

# The modules' names, separated by commas, for the process that Spark's workers are forked from.
VARIABLE = "OPENGENOME_PRELOAD"


def preload(modules: Iterable[str]) -> None:
    """Import modules and compile every kernel, so that processes forked from this one start warm.

    Raises
    ------
    ImportError
        If a module does not exist.
    """
    from opengenome_assets.kernels.warm import warm  # imports Numba, which the caller's process may not need

    for module in modules:
        import_module(module)
    import_module("pandas")  # pyarrow imports it with the first array from NumPy
    warm()
    gc.freeze()  # garbage collection in workers skips the preloaded objects, which saves 0.1 s per task
