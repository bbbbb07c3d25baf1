"""Sequences and expected rows of AMRFinderPlus' own test."""

import csv
import re
from pathlib import Path

FOLDER = Path(__file__).parent


def sequences(file: str) -> dict[str, str]:
    """Sequences of a FASTA file by name. Headers hold further '>'."""
    records = [record.partition("\n") for record in re.split("^>", (FOLDER / file).read_text(), flags=re.M)[1:]]
    return {header.split()[0]: "".join(sequence.split()) for header, _, sequence in records}


def expected_dna(method: str) -> list[dict[str, str]]:
    """Rows that AMRFinderPlus finds in test_dna.fa as Escherichia by a method, such as POINTN."""
    with (FOLDER / "test_dna.expected").open() as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if row["Method"] == method]
