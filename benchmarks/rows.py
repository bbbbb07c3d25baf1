"""Rows: the names by which they are asked for, in the order of the page, and what each needs.

Belongs here: the list. Does not belong here: measuring. A row's module is imported when the row is measured, so that
one row does not wait for the libraries of the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.report import Row

FULL = 2_800_000_000
"""Bases of the organelle corpus, at which every row is measured."""
LARGE, SEARCHED = 1_000_000_000, 200_000_000


@dataclass(frozen=True)
class Work:
    """A row to measure.

    Attributes
    ----------
    module, function
        Of the function that measures it, for a number of bases in a folder of its own.
    needs
        Bases, below which it is measured only if it is named: it takes long, or starting Python outweighs the work.
    tools
        Other tools that it runs.
    """

    module: str
    function: str
    needs: int = 0
    tools: Sequence[str] = ()

    def measure(self, bases: int, folder: Path) -> Row:
        """Measure it."""
        return self.find()(bases, folder)

    def find(self) -> Callable[[int, Path], Row]:
        """Return its function."""
        function: Callable[[int, Path], Row] = getattr(import_module(f"benchmarks.{self.module}"), self.function)
        return function


ROWS = {
    "kmers": Work("kernels", "kmer_row"),
    "counting": Work("counting", "counting_row", LARGE, ("kmc", "kmc_dump", "jellyfish")),
    "scan": Work("scans", "scan_row"),
    "contents": Work("contents", "contents_row"),
    "codons": Work("kernels", "codon_row"),
    "genes": Work("kernels", "gene_row", tools=("prodigal", "codonw")),
    "proteins": Work("proteins", "proteins_row", LARGE, ("water", "diamond", "mmseqs")),
    "proteins-search": Work("proteins", "proteins_search_row", LARGE, ("diamond", "mmseqs")),
    "proteins-growth": Work("proteins", "proteins_growth_row", LARGE),
    "variants": Work(
        "variants",
        "variants_row",
        LARGE,
        ("art_illumina", "bwa", "minimap2", "fastp", "samtools", "bcftools", "freebayes"),
    ),
    "ingestion": Work("ingestion", "ingestion_row"),
    "huge": Work("huge", "huge_row", LARGE),
    "growth": Work("growth", "growth_row", FULL),
    "change": Work("growth", "change_row", FULL),
    "extremes": Work("extremes", "extremes_row", FULL),
    "search": Work("search", "search_row", SEARCHED),
    "many": Work("search", "many_row", FULL),
    "load": Work("load", "load_row", LARGE),
    "occurrences": Work("occurrences", "occurrences_row"),
}
