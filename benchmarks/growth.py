"""Cost of the whole platform as the corpus grows, and when a part of it changes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.corpus import Totals, organelle_lengths, short_lengths, write_fasta
from benchmarks.line import Line
from benchmarks.measure import must_equal
from benchmarks.pipeline import CORPUS, Run, materialize, read_table
from benchmarks.report import Figure, Row, number, ratio, table

FILES = 100
SOME_FILES = 4  # with one, and little in it, Spark would not be started, and the smallest corpus stand apart
PASSES = ("raw_fasta", "sequence_shards", "shard_stats", "kmer_", "codon_counts", "genes", "tfidf_index")
SMALL_RECORDS = 2_500
LEAST_WORK = 0.5  # CPU seconds, below which a share is noise


def growth_row(bases: int, folder: Path) -> Row:
    """Make every asset of three corpora, each in a few files; the largest has this number of bases."""
    sizes, runs = [], []
    for size in (bases // 28, bases * 10 // 28, bases):
        place = folder / str(size)
        totals = write_files(place / "source", organelle_lengths(size), SOME_FILES)
        runs.append(materialize(place / "source", place / "home", CORPUS))
        must_have(place / "home", totals)
        sizes.append(totals.bases)
    stored = sum(file.stat().st_size for file in (place / "home" / "tables").rglob("*.parquet"))
    line = Line.through(sizes, [run.cost.cpu for run in runs])
    whole = runs[-1]
    return Row(
        f"all assets of a generated corpus of {totals.bases:,} bases, {totals.records:,} records, after the download",
        [
            ratio("CPU of the whole run / of its passes", whole.cost.cpu, passes_cpu(whole), 1.5),
            Figure("farthest from a straight line", 100 * line.off, 10, " %"),
            Figure("peak memory", whole.cost.peak / 1e9, 6, " GB"),
            Figure("CPU", whole.cost.cpu, unit=" s"),
            Figure("CPU without that of genes", whole.cost.cpu - whole.steps["genes"], unit=" s"),
        ],
        [
            f"The passes go through files or shards: {', '.join(PASSES)}. The line: {number(line.fixed)} CPU s, and "
            f"{number(line.per_billion)} for each billion bases. On paper, a terabase would take "
            f"{line.at(1e12) / 3600:.1f} CPU hours and {stored / totals.bases:.2f} TB for its tables. Each corpus lies "
            f"in {SOME_FILES} files.",
            table(
                ("bases", "CPU s", "wall s", "peak memory, GB"),
                [
                    (f"{size:,}", *(number(value) for value in (run.cost.cpu, run.cost.wall, run.cost.peak / 1e9)))
                    for size, run in zip(sizes, runs, strict=True)
                ],
                figures=3,
            ),
            "CPU s by step, the checks of a table with the step that makes it:",
            step_table({f"{size:,} bases": run for size, run in zip(sizes, runs, strict=True)}),
        ],
        {"bases": sizes, "cpu": [run.cost.cpu for run in runs], "peak": [run.cost.peak for run in runs]},
    )


def passes_cpu(run: Run) -> float:
    """Return the CPU seconds of the steps that go through files or shards."""
    return sum(run.steps[step] for step in PASSES)


def change_row(bases: int, folder: Path) -> Row:
    """Make every asset of many files, then again unchanged, then again after one file has changed."""
    source, home, lengths = folder / "source", folder / "home", organelle_lengths(bases)
    write_fasta(folder / "small" / "generated" / "small.fasta.gz", short_lengths(SMALL_RECORDS))
    small = materialize(folder / "small", folder / "small-home", CORPUS)
    totals = write_files(source, lengths, FILES)
    full = materialize(source, home, CORPUS)
    must_have(home, totals)
    unchanged = materialize(source, home, CORPUS)
    write_fasta(source / "generated" / "00000.fasta.gz", np.array_split(lengths, FILES)[0], seed=1)
    changed = materialize(source, home, CORPUS)

    work = {step: full.steps[step] - small.steps[step] for step in PASSES}
    again = {step: changed.steps[step] - small.steps[step] for step in PASSES}
    shares = {step: again[step] / work[step] for step in PASSES if work[step] >= LEAST_WORK}
    most = max(shares, key=lambda step: shares[step])
    return Row(
        f"the same in {FILES} source files, one of them changed",
        [
            Figure("share of the work, in all", 100 * sum(again.values()) / sum(work.values()), 5, " %"),
            Figure(f"share of the work, in the asset with the largest ({most})", 100 * shares[most], 5, " %"),
            ratio("CPU of the whole run after the change / of the full one", changed.cost.cpu, full.cost.cpu, 0.14),
            ratio("CPU of a run in which nothing changed / of the full one", unchanged.cost.cpu, full.cost.cpu, 0.07),
        ],
        [
            f"Work is the CPU time of the steps that go through files or shards ({', '.join(PASSES)}), above that of "
            f"the same steps for a corpus of {SMALL_RECORDS:,} short records; assets with less than {LEAST_WORK} s "
            "of it have no share. The others make sums, figures and the report of what these have made.",
            "A whole run includes interpreter, Dagster, sums and figures. CPU s:",
            step_table(
                {"full": full, "one file changed": changed, "nothing changed": unchanged, "small corpus": small}
            ),
        ],
    )


def write_files(folder: Path, lengths: npt.NDArray[np.int64], files: int) -> Totals:
    """Write records to many compressed files in one folder, which is one source."""
    totals = Totals()
    for place, part in enumerate(np.array_split(lengths, files)):
        totals += write_fasta(folder / "generated" / f"{place:05}.fasta.gz", part, first=totals.records)
    return totals


def must_have(home: Path, totals: Totals) -> None:
    """Compare the platform's sums over all sources with the totals written."""
    rows = read_table(home, "sequence_stats")
    found = rows[rows["source"] == "all"].iloc[0]
    written = {"sequences": totals.records, "bases": totals.bases, "acgt_bases": totals.acgt_bases}
    must_equal("the sums found and those written", {name: int(found[name]) for name in written}, written)


def step_table(runs: Mapping[str, Run]) -> str:
    """Return the CPU seconds of the steps of some runs as a Markdown table, the most expensive first."""
    most: dict[str, float] = {}
    for run in runs.values():
        for step, cpu in run.steps.items():
            most[step] = max(most.get(step, 0.0), cpu)
    figures = {
        "everything": [run.cost.cpu for run in runs.values()],
        "outside the steps": [run.cost.cpu - sum(run.steps.values()) for run in runs.values()],
        **{
            step: [run.steps.get(step, 0.0) for run in runs.values()]
            for step in sorted(most, key=lambda step: -most[step])
        },
    }
    rows = [(name, *(f"{value:.1f}" for value in values)) for name, values in figures.items()]
    return table(("step", *runs), rows, figures=len(runs))
