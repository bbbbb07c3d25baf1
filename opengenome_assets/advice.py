"""Commands that messages tell a user to type next.

Belongs here: commands that more than one module names. Does not belong here: when they help, which those modules know.
"""

from __future__ import annotations


def materialize(selection: str) -> str:
    """Return the command that makes the assets of a selection; it works in any folder in which .venv is active."""
    return f"dagster asset materialize -m opengenome_assets.definitions --select '{selection}'"
