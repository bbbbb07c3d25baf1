"""What the samples hold, in a few lines, as a run ends with.

Belongs here: the lines of a scientist's first questions. Does not belong here: the tables they are read from, and how
lines are printed (``cli/run.py``).
"""

from __future__ import annotations

from collections import Counter

from opengenome_assets import words
from opengenome_assets.framework.group import Finding
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.tables import ANNOTATIONS, SAMPLE_QC

SHOWN = 8  # samples that have a line of their own


def findings(home: Home) -> list[Finding]:
    """Return the lines, of the tables that exist."""
    lines = []
    if home.table(SAMPLE_QC).exists():
        rows = home.table(SAMPLE_QC).read().to_pylist()
        for row in rows[:SHOWN]:
            text = (
                f"{words.count(row['reads'])} reads, {words.percent(row['mapped_share'], 2)} aligned, mean depth "
                f"{row['mean_depth']:.1f}, {words.plural(row['snvs'], 'SNV')}, {words.plural(row['indels'], 'indel')}"
            )
            lines.append(Finding(row["sample"], text))
        if len(rows) > SHOWN:
            lines.append(
                Finding("", f"and {words.plural(len(rows) - SHOWN, 'sample')} more: opengenome variants status")
            )
    if home.table(ANNOTATIONS).exists():
        classes = Counter(home.table(ANNOTATIONS).read(["class"])["class"].to_pylist())
        named = [f"{name} {words.count(number)}" for name, number in classes.most_common()]
        text = f"{words.plural(classes.total(), 'variant')} by class in ClinVar: {words.listing(named)}"
        lines.append(Finding("variants", text if classes else "none"))
    return lines
