"""What the proteins hold, in a few lines, as a run ends with.

Belongs here: the lines of a scientist's first questions. Does not belong here: the tables they are read from, and how
lines are printed (``cli/run.py``).
"""

from __future__ import annotations

from collections import Counter

from opengenome_assets import words
from opengenome_assets.framework.group import Finding
from opengenome_assets.proteins.tables import (
    ACCESSIONS,
    MUTATION_CALLS,
    MUTATION_STATUS,
    PROTEINS,
    REJECTED_PROTEINS,
)
from opengenome_assets.storage.tables import Home

SHOWN = 8  # mutations and outcomes that are named


def findings(home: Home) -> list[Finding]:
    """Return the lines, of the tables that exist."""
    lines = []
    if home.table(ACCESSIONS).exists() and home.table(PROTEINS).exists():
        accessions = home.table(ACCESSIONS).at().rows
        proteins = home.table(PROTEINS).at().rows
        lines.append(Finding("accessions", f"{words.count(accessions)}, with {words.plural(proteins, 'protein')}"))
    if home.table(MUTATION_CALLS).exists():
        symbols = Counter(home.table(MUTATION_CALLS).read(["symbol"])["symbol"].to_pylist())
        named = [f"{symbol} {words.count(number)}" for symbol, number in symbols.most_common()]
        shown = f": {words.listing(named, SHOWN)}" if named else ""
        lines.append(
            Finding(
                "mutations",
                f"{words.plural(len(symbols), 'known mutation')} in {words.plural(symbols.total(), 'call')}{shown}",
            )
        )
    if home.table(MUTATION_STATUS).exists():
        rows = home.table(MUTATION_STATUS).read(["examined", "outcome"]).to_pylist()
        hidden = Counter(row["outcome"] for row in rows if not row["examined"])
        named = [f"{outcome} {words.count(number)}" for outcome, number in hidden.most_common()]
        text = f"not every known site was seen in {words.count(hidden.total())} of {words.plural(len(rows), 'gene')}"
        lines.append(Finding("examined", f"{text} of accessions: {words.listing(named, SHOWN)}" if hidden else "all"))
    if home.table(REJECTED_PROTEINS).exists():
        refused = home.table(REJECTED_PROTEINS).at().rows
        text = f"{words.plural(refused, 'record')}. See: opengenome show {REJECTED_PROTEINS.name}"
        lines.append(Finding("refused", text if refused else "no record", warns=refused > 0))
    return lines
