"""Proteins to substitutions: alignment to wild types, and known mutations called from a versioned catalogue.

Belongs here: the library (`align`, `call`), the catalogue, and what a difference between two proteins means. Does not
belong here: the compiled alignment (``kernels``). A name is imported lazily, at its first use, since it imports Numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opengenome_assets.proteins.alignment import Alignment, Mark, align
    from opengenome_assets.proteins.calls import Call, ProteinCalls, call
    from opengenome_assets.proteins.catalogue import Catalogue, CatalogueError, read_catalogue
    from opengenome_assets.proteins.changes import Change

_MODULES = {
    "Alignment": "alignment",
    "Call": "calls",
    "Catalogue": "catalogue",
    "CatalogueError": "catalogue",
    "Change": "changes",
    "Mark": "alignment",
    "ProteinCalls": "calls",
    "align": "alignment",
    "call": "calls",
    "read_catalogue": "catalogue",
}

__all__ = [
    "Alignment",
    "Call",
    "Catalogue",
    "CatalogueError",
    "Change",
    "Mark",
    "ProteinCalls",
    "align",
    "call",
    "read_catalogue",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
