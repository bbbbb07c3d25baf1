"""Codons, amino acids and frames as figures and the report name and order them.

Belongs here: names. Does not belong here: drawing. Nothing here imports Matplotlib, so a report is written without it.
"""

from __future__ import annotations

import pandas as pd
from Bio.Data.IUPACData import protein_letters_1to3

OF_GENES = "codons of the genes that were found; spliced genes are not found"
NOT_GENES = "all codons of the whole sequences, genes or not"
GENES = -1  # in the place of a frame

CodonColumn = tuple[str, str]
"""Three-letter amino acid ("Stop" for stops) and codon."""


def codon_columns(codon_rscu: pd.DataFrame) -> list[CodonColumn]:
    """Pairs of amino acid and codon of the table, by amino acid's three-letter name, stops last."""
    pairs = codon_rscu[["amino_acid", "codon"]].drop_duplicates().itertuples(index=False)
    named = {(three_letters(str(amino_acid)), str(codon)) for amino_acid, codon in pairs}
    return sorted(named, key=lambda column: (column[0] == "Stop", column))


def with_frames(codon_rscu: pd.DataFrame) -> pd.DataFrame:
    """The table with `GENES` as the frame of genes."""
    return codon_rscu.assign(frame=codon_rscu["frame"].fillna(GENES).astype(int))


def frame_name(frame: int) -> str:
    """What a frame is called: genes, or a reading frame."""
    return "genes" if frame == GENES else f"reading frame {frame}"


def three_letters(amino_acid: str) -> str:
    """Three-letter name of an amino acid's one-letter code; "*" is "Stop"."""
    return "Stop" if amino_acid == "*" else protein_letters_1to3[amino_acid]
