"""What the corpus holds, in a few lines, as a run ends with.

Belongs here: the lines of a scientist's first questions. Does not belong here: the tables they are read from, and how
lines are printed (``cli/run.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pyarrow.compute as pc

from opengenome_assets import words
from opengenome_assets.corpus.tables import GENES, REJECTED_RECORDS, SEQUENCE_SHARDS, SEQUENCE_STATS
from opengenome_assets.framework.group import Finding
from opengenome_assets.intake.sources import ALL
from opengenome_assets.storage.tables import Home

SHOWN = 5  # files, sources and kinds that are named


def findings(home: Home) -> list[Finding]:
    """Return the lines, of the tables that exist."""
    lines = []
    if home.table(SEQUENCE_STATS).exists():
        stats = {row["source"]: row for row in home.table(SEQUENCE_STATS).read().to_pylist()}
        everything = stats.pop(ALL, None)
        sources = [f"{name} {words.count(row['sequences'])}" for name, row in stats.items()]
        if everything:
            gc = words.percent(everything["gc_content"])
            lines += [
                Finding("sequences", f"{words.count(everything['sequences'])}: {words.listing(sources, SHOWN)}"),
                Finding("bases", f"{words.count(everything['bases'])}, {gc} of A, C, G and T are G or C"),
            ]
    if home.table(GENES).exists():
        genes = home.table(GENES).at().rows
        lines.append(Finding("genes", f"{words.count(genes)}; spliced genes are not found"))
    if home.table(REJECTED_RECORDS).exists():
        lines.append(_refused(home))
    if home.table(SEQUENCE_SHARDS).exists():
        unusable = home.table(SEQUENCE_SHARDS).provenance().settings.get("unusable_files", [])
        reasons = [row["reason"] for row in unusable]
        lines += [Finding("left out", reason, warns=True) for reason in reasons[:SHOWN]]
        if len(reasons) > SHOWN:
            lines.append(Finding("left out", f"and {len(reasons) - SHOWN} files more: opengenome info", warns=True))
    return lines


def _refused(home: Home) -> Finding:
    rows = home.table(REJECTED_RECORDS).read(["source", "file", "record", "kind"])
    rows = rows.filter(pc.greater(rows["record"], 0))  # record 0 stands for a file that is left out
    if not rows.num_rows:
        return Finding("refused", "no record")
    counts = rows.group_by(["source", "file", "kind"]).aggregate([([], "count_all")]).to_pylist()
    names = named((row["source"], row["file"]) for row in counts)
    kinds, files = Counter[str](), Counter[str]()
    for row in counts:
        kinds[row["kind"]] += row["count_all"]
        files[names[row["source"], row["file"]]] += row["count_all"]
    of_kinds, of_files = (
        words.listing([f"{name} {words.count(number)}" for name, number in counter.most_common()], SHOWN)
        for counter in (kinds, files)
    )
    text = f"{words.plural(rows.num_rows, 'record')} ({of_kinds}) in {of_files}"
    return Finding("refused", f"{text}. See: opengenome show {REJECTED_RECORDS.name}", warns=True)


def named(files: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return how to call files, given by source and path: by path alone where no other source has the same."""
    distinct = set(files)
    paths = Counter(path for _, path in distinct)
    return {(source, path): path if paths[path] == 1 else f"{source}: {path}" for source, path in distinct}
