"""Measure everything: ``python -m benchmarks [BASES]``, or ``make bench``.

2.8 billion bases, the size of the organelle corpus, measure every row and write ``benchmarks/RESULTS.md``. Fewer bases
leave out the rows that need more, and write ``benchmarks/quick.md``, which git ignores.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import counting, growth, search
from benchmarks.contents import contents_row
from benchmarks.counting import counting_row
from benchmarks.extremes import extremes_row
from benchmarks.growth import change_row, growth_row
from benchmarks.ingestion import ingestion_row
from benchmarks.kernels import codon_row, gene_row, kmer_row
from benchmarks.measure import CommandError, UnequalError
from benchmarks.occurrences import occurrences_row
from benchmarks.peers import MissingToolError, require_tools
from benchmarks.picture import cost_against_size
from benchmarks.proteins import proteins_growth_row, proteins_row, proteins_search_row
from benchmarks.report import Row, page, summary, tally
from benchmarks.scans import scan_row
from benchmarks.search import many_row, search_row
from benchmarks.variants import variants_row
from opengenome_assets.kernels.warm import warm
from opengenome_assets.plots.images import to_svg

FOLDER = Path(__file__).parent


def measure(bases: int) -> None:
    """Measure the rows that this number of bases allows, in the order of the targets, and write the page."""
    rows: list[Row] = []

    def done(row: Row) -> None:
        rows.append(row)
        print(summary(row), flush=True)

    warm()  # compiled once, or the first row that needs a kernel would pay for it
    done(kmer_row(bases))
    if bases >= counting.NEEDS:
        with workplace() as folder:
            done(counting_row(bases, folder))
    with workplace() as folder:
        done(scan_row(bases, folder))
    with workplace() as folder:
        done(contents_row(bases, folder))
    done(codon_row(bases))
    with workplace() as folder:
        done(gene_row(bases, folder))
    if bases >= counting.NEEDS:
        with workplace() as folder:
            done(proteins_row(folder))
        with workplace() as folder:
            done(proteins_search_row(folder))
        with workplace() as folder:
            done(proteins_growth_row(folder))
        with workplace() as folder:
            done(variants_row(folder))
    with workplace() as folder:
        done(ingestion_row(bases, folder))
    picture = None
    if bases >= growth.NEEDS:
        with workplace() as folder:
            row, grown = growth_row(bases, folder)
            done(row)
        picture = FOLDER / "cost.svg"
        picture.write_bytes(to_svg(cost_against_size(grown)))
        with workplace() as folder:
            done(change_row(bases, folder))
        with workplace() as folder:
            done(extremes_row(folder))
    if bases >= search.NEEDS:
        with workplace() as folder:
            done(search_row(folder))
    if bases >= search.MANY_NEED:
        with workplace() as folder:
            done(many_row(folder))
    with workplace() as folder:
        done(occurrences_row(bases, folder))
    results = FOLDER / ("RESULTS.md" if picture else "quick.md")
    results.write_text(page(rows, bases, picture.name if picture else None))
    print(f"written: {results.relative_to(FOLDER.parent)}")
    print(tally(rows))


@contextmanager
def workplace() -> Iterator[Path]:
    """Provide a temporary folder for one row, removed before the next row."""
    with tempfile.TemporaryDirectory(prefix="opengenome-benchmark-") as folder:
        yield Path(folder)


def main(bases: int) -> None:
    """Measure; exit with code 1 if results differ or a command fails. A missed target is a result."""
    try:
        if bases >= counting.NEEDS:
            require_tools()
        measure(bases)
    except (CommandError, MissingToolError, UnequalError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else growth.NEEDS)
