"""Peers: other tools for the same work, with their counts in our form."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measure import Cost, run
from opengenome_assets.kernels.bases import kmer_strings

K = 8
THREADS = 2
PACKAGES = {
    "kmc": "kmc",
    "kmc_dump": "kmc",
    "jellyfish": "jellyfish",
    "water": "emboss",
    "diamond": "diamond-aligner",
    "mmseqs": "mmseqs2",
    "art_illumina": "art-nextgen-simulation-tools",
    **{name: name for name in ("prodigal", "codonw", "bwa", "minimap2", "fastp", "samtools", "bcftools", "freebayes")},
}
_MOST = 2**32 - 1  # what their counters are told to hold


class MissingToolError(RuntimeError):
    """A tool is not installed; the message says how to install it."""


def require_tools(names: Iterable[str]) -> None:
    """Look for tools.

    Raises
    ------
    MissingToolError
        If one is not on the PATH.
    """
    missing = [name for name in names if not shutil.which(name)]
    if missing:
        packages = " ".join(sorted({PACKAGES[name] for name in missing}))
        raise MissingToolError(
            f"{', '.join(missing)} not found on the PATH: results are compared with theirs. "
            f"On Debian and Ubuntu: apt-get install {packages}"
        )


def kmc(fasta: Path, folder: Path) -> tuple[Cost, npt.NDArray[np.int64]]:
    """Count 8-mers with KMC; return the cost and the counts in alphabetical order, shape (65536,)."""
    database, dump = folder / "kmc", folder / "kmc.txt"
    settings = [f"-k{K}", "-b", "-fm", "-ci1", f"-cs{_MOST}", f"-cx{_MOST}", f"-t{THREADS}", "-hp"]
    cost = run(["kmc", *settings, str(fasta), str(database), str(folder)])
    run(["kmc_dump", "-ci1", f"-cx{_MOST}", str(database), str(dump)])
    return cost, read_counts(dump.read_text().splitlines())


def prodigal(fasta: Path) -> tuple[Cost, npt.NDArray[np.int64]]:
    """Find genes with Prodigal by code 11; return the cost, and begin, end and strand, shape (genes, 3), sorted."""
    found = fasta.with_suffix(".sco")
    cost = run(["prodigal", "-i", str(fasta), "-o", str(found), "-f", "sco", "-g", "11", "-m", "-q"])
    rows = [line[1:].split("_") for line in found.read_text().splitlines() if line.startswith(">")]
    genes = [(int(begin), int(end), 1 if strand == "+" else -1) for _, begin, end, strand in rows]
    return cost, np.array(sorted(genes), np.int64).reshape(-1, 3)


def codonw(coding: str, folder: Path) -> tuple[Cost, tuple[float, float]]:
    """Work out the codon usage of a text of codons of code 11 with codonW; return the cost, and GC3s and Nc."""
    fasta, printed, bulk = (folder / name for name in ("coding.fasta", "indices.txt", "bulk.txt"))
    fasta.write_text(f">coding\n{coding}\n")
    for made in (printed, bulk):
        made.unlink(missing_ok=True)  # else it asks what to do
    options = ["-nomenu", "-silent", "-nowarn", "-gc3s", "-enc", "-code", "0"]
    cost = run(["codonw", str(fasta), str(printed), str(bulk), *options], folder=folder)
    heading, values = (line.split() for line in printed.read_text().splitlines()[:2])
    found = dict(zip(heading, values, strict=True))
    return cost, (float(found["GC3s"]), float(found["Nc"]))


def jellyfish(fasta: Path, folder: Path) -> tuple[Cost, npt.NDArray[np.int64]]:
    """Count 8-mers with jellyfish; return the cost and the counts in alphabetical order, shape (65536,)."""
    database = folder / "jellyfish"
    settings = ["-m", str(K), "-s", str(4**K), "-t", str(THREADS), "-o", str(database)]
    cost = run(["jellyfish", "count", *settings, str(fasta)])
    return cost, read_counts(run(["jellyfish", "dump", "--column", str(database)]).printed)


def read_counts(lines: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the counts in lines with a k-mer and its count."""
    place = {name: code for code, name in enumerate(kmer_strings(K))}
    counts = np.zeros(4**K, np.int64)
    for line in lines:
        kmer, count = line.split()
        counts[place[kmer]] = int(count)
    return counts
