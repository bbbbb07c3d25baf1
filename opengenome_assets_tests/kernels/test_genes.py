"""Genes against a slow search for open reading frames, Biopython, Prodigal, and known genes of the mitochondrion."""

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from Bio.Data import CodonTable
from Bio.Seq import Seq
from hypothesis import given, settings
from hypothesis import strategies as st

from opengenome_assets.kernels.bases import kmer_strings
from opengenome_assets.kernels.frames import GAP, open_reading_frames, open_reading_frames_of_each
from opengenome_assets.kernels.genes import METAGENOMIC, ORF, TRAINED, Genes, choose_method, find_genes, place_genes
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.kernels.texts import fasta, random_bases, sample, sequences

Row = tuple[int, int, int, int, int]

# Begin, end and strand in NC_012920.1, as annotated.
HUMAN = {
    "ND1": (3307, 4262, 1),
    "ND2": (4470, 5511, 1),
    "COX1": (5904, 7445, 1),
    "COX2": (7586, 8269, 1),
    "ATP8": (8366, 8572, 1),
    "ATP6": (8527, 9207, 1),
    "COX3": (9207, 9990, 1),
    "ND3": (10059, 10404, 1),
    "ND4L": (10470, 10766, 1),
    "ND4": (10760, 12137, 1),
    "ND5": (12337, 14148, 1),
    "ND6": (14149, 14673, -1),
    "CYTB": (14747, 15887, 1),
}


def letters(sequence: str | bytes) -> np.ndarray:
    return np.frombuffer(sequence.encode() if isinstance(sequence, str) else sequence, np.uint8)


def segments(sequence: str) -> list[tuple[int, str]]:
    """Where each piece between gaps begins, and its letters from the first base to the last."""
    bases = [place for place, letter in enumerate(sequence) if letter in "ACGT"]
    pieces: list[list[int]] = []
    for place in bases:
        if pieces and place - pieces[-1][-1] <= GAP:
            pieces[-1].append(place)
        else:
            pieces.append([place])
    return [(piece[0], sequence[piece[0] : piece[-1] + 1]) for piece in pieces]


def frames_of(piece: str, genetic_code: int) -> list[Row]:
    """Begin, end, codons and flags of each longest open frame of one strand of a piece."""
    table = CodonTable.unambiguous_dna_by_id[genetic_code]
    found: list[Row] = []
    for phase in range(3):
        codons = [piece[place : place + 3] for place in range(phase, len(piece) - 2, 3)]
        opened: int | None = 0  # the edge, where no stop can stand before the frame
        for place, codon in enumerate(codons):
            if codon in table.stop_codons:
                if opened is not None:
                    found.append((phase + 3 * opened + 1, phase + 3 * place + 3, place - opened, int(opened == 0), 0))
                opened = None
            elif codon in table.start_codons and opened is None:
                opened = place
        if opened is not None:
            end = phase + 3 * len(codons)
            found.append((phase + 3 * opened + 1, end, len(codons) - opened, int(opened == 0), 1))
    return found


def twin(sequence: str, genetic_code: int, min_codons: int, max_overlap: int) -> list[Row]:
    found: list[Row] = []
    for begin, piece in segments(sequence.upper()):
        for strand in (1, -1):
            read = piece if strand == 1 else str(Seq(piece).reverse_complement())
            for first, last, codons, open_5, open_3 in frames_of(read, genetic_code):
                if codons >= min_codons:
                    ends = (first, last) if strand == 1 else (len(piece) - last + 1, len(piece) - first + 1)
                    found.append((begin + ends[0], begin + ends[1], strand, open_5, open_3))
    found.sort(key=lambda row: (row[0] - row[1], row[0], -row[2]))
    kept: list[Row] = []
    for row in found:
        if all(min(row[1], other[1]) - max(row[0], other[0]) + 1 <= max_overlap for other in kept):
            kept.append(row)
    return kept


def rows(sequence: str, genetic_code: int, min_codons: int, max_overlap: int) -> list[Row]:
    found = open_reading_frames(letters(sequence), genetic_code, min_codons=min_codons, max_overlap=max_overlap)
    return [tuple(row) for row in found.tolist()]


@settings(max_examples=share(200))
@given(
    sequence=sequences(600),
    genetic_code=st.sampled_from([1, 2, 5, 11, 27, 31]),
    sizes=st.sampled_from([(1, 0), (1, 1), (5, 0), (5, 7), (20, 29)]),
)
def test_open_frames_equal_a_slow_search(sequence: bytes, genetic_code: int, sizes: tuple[int, int]) -> None:
    decoded = "".join(letter if letter in "ACGTacgt" else "N" for letter in sequence.decode("latin-1"))
    assert rows(decoded, genetic_code, *sizes) == twin(decoded, genetic_code, *sizes)


@pytest.mark.parametrize("genetic_code", [1, 5])
def test_open_frames_of_a_real_genome_equal_a_slow_search(genetic_code: int) -> None:
    sequence = sample("mitochondria")["NC_029357.1"]
    found = rows(sequence, genetic_code, 60, 60)
    assert len(found) > 5
    assert {row[2] for row in found} == {1, -1}
    assert found == twin(sequence, genetic_code, 60, 60)


def test_the_reverse_complement_has_the_same_genes() -> None:
    sequence = sample("mitochondria")["NC_029357.1"]
    forward = find_genes(letters(sequence), 5)
    reverse = find_genes(letters(str(Seq(sequence).reverse_complement())), 5)
    assert sorted(reverse.proteins.to_pylist()) == sorted(forward.proteins.to_pylist())
    np.testing.assert_array_equal(reverse.codons, forward.codons)
    np.testing.assert_array_equal(len(sequence) + 1 - reverse.end[::-1], forward.begin)


def translated(sequence: str, genes: Genes) -> list[str]:
    """Proteins by Biopython: start codons are M, and the stop is left out."""
    proteins = []
    for begin, end, strand, partial_5, partial_3 in zip(
        genes.begin, genes.end, genes.strand, genes.partial_5, genes.partial_3, strict=True
    ):
        coding = Seq(sequence[begin - 1 : end])
        protein = str((coding if strand == 1 else coding.reverse_complement()).translate(genes.genetic_code))
        proteins.append(("" if partial_5 else "M") + protein[not partial_5 : len(protein) - (not partial_3)])
    return proteins


@settings(max_examples=share(60))
@given(
    texts=st.lists(sequences(900), max_size=5),
    genetic_code=st.sampled_from([1, 5, 11]),  # by 11 Prodigal finds the genes of sequences this short
    before=st.integers(0, 7),
    narrow=st.booleans(),
)
@pytest.mark.long
def test_genes_of_many_sequences_are_those_of_each(
    texts: list[bytes], genetic_code: int, before: int, narrow: bool
) -> None:
    joined = b"A" * before + b"".join(texts)
    offsets = (before + np.cumsum([0, *map(len, texts)])).astype(np.int32 if narrow else np.int64)
    places = place_genes(np.frombuffer(joined, np.uint8), offsets, genetic_code)
    alone = [find_genes(np.frombuffer(text, np.uint8), genetic_code) for text in texts]
    assert places.methods == [each.method for each in alone]
    assert places.sequence.tolist() == [number for number, each in enumerate(alone) for _ in range(len(each))]
    for name in ("begin", "end", "strand", "partial_5", "partial_3"):
        found = getattr(places, name)
        assert found.tolist() == [value for each in alone for value in getattr(each, name).tolist()]
        assert all(found.dtype == getattr(each, name).dtype for each in alone)


@pytest.mark.parametrize("chosen", [[-1], [0, 2]])
def test_sequences_that_are_not_there_are_refused(chosen: list[int]) -> None:
    with pytest.raises(IndexError, match="expected numbers of 2 sequences"):
        open_reading_frames_of_each(letters("ACGTACGT"), np.array([0, 4, 8]), np.array(chosen), 1)


@pytest.mark.parametrize(
    ("source", "name", "genetic_code", "method"),
    [
        ("vertebrate_mitochondria", "NC_012920.1", 2, ORF),
        ("mitochondria", "NC_029357.1", 5, ORF),
        ("plastids", "NC_000932.1", 11, TRAINED),
    ],
)
def test_proteins_and_codons_equal_biopythons(source: str, name: str, genetic_code: int, method: str) -> None:
    sequence = sample(source)[name]
    genes = find_genes(letters(sequence), genetic_code)
    assert genes.method == method
    assert genes.proteins.to_pylist() == translated(sequence, genes)
    assert (genes.end - genes.begin + 1).tolist() == [
        3 * (len(protein) + (not partial))
        for protein, partial in zip(genes.proteins.to_pylist(), genes.partial_3, strict=True)
    ]
    codons: Counter[str] = Counter()
    for begin, end, strand, start in zip(genes.begin, genes.end, genes.strand, genes.start_codons, strict=True):
        coding = Seq(sequence[begin - 1 : end])
        read = str(coding if strand == 1 else coding.reverse_complement())
        codons.update(codon for place in range(0, len(read), 3) if set(codon := read[place : place + 3]) <= set("ACGT"))
        assert start.as_py() in ("", read[:3])
    assert dict(zip(kmer_strings(3).tolist(), genes.codons.tolist(), strict=True)) == {
        codon: codons[codon] for codon in kmer_strings(3).tolist()
    }


def test_thirteen_genes_of_the_human_mitochondrion() -> None:
    """Known: 13 genes. Found: all of them in 12 frames, of 15. Docs/input.md has this table.

    A T or TA that becomes a stop only in the messenger (polyadenylation) is no stop here, so those frames run on to
    the next one, ND3's as far as ND4L's end. A frame begins at its first start codon, which may precede the gene's.
    """
    found = find_genes(letters(sample("vertebrate_mitochondria")["NC_012920.1"]), 2)
    frames = list(zip(found.begin.tolist(), found.end.tolist(), found.strand.tolist(), strict=True))
    ends = {}
    for gene, (begin, end, strand) in HUMAN.items():
        (frame,) = (each for each in frames if each[2] == strand and each[0] <= begin and end <= each[1])
        assert (frame[0] - begin if strand == 1 else frame[1] - end) % 3 == 0
        ends[gene] = (frame[0] - begin, frame[1] - end)
    assert ends == {
        "ND1": (-18, 1),
        "ND2": (0, 2),
        "COX1": (0, 0),
        "COX2": (-15, 0),
        "ATP8": (0, 0),
        "ATP6": (0, 0),
        "COX3": (-3, 65),
        "ND3": (0, 362),
        "ND4L": (-411, 0),
        "ND4": (0, 47),
        "ND5": (-27, 0),
        "ND6": (0, 3),
        "CYTB": (0, 20),
    }
    assert len(frames) == 15
    assert not found.partial_5.any()
    assert not found.partial_3.any()


def test_the_method_follows_length_and_code() -> None:
    assert choose_method(150_000, 11) == TRAINED
    assert choose_method(150_000, 25) == TRAINED
    assert choose_method(99_999, 11) == choose_method(99_999, 4) == METAGENOMIC
    assert choose_method(150_000, 1) == choose_method(16_569, 2) == choose_method(99_999, 25) == ORF
    assert choose_method(32_000_001, 11) == choose_method(150_000, 27) == ORF


STOPS = "TTAATTAATTAA"  # a stop in each of the six frames
INSIDE = "GCC" * 35 + "ATAGCTAACTTAACTTAC" + "GCC" * 35  # a stop in five of them
PROTEIN = "A" * 35 + "IANLTY" + "A" * 35


def one(sequence: str) -> Genes:
    genes = find_genes(letters(sequence), 1)
    assert len(genes) == 1
    return genes


@pytest.mark.parametrize("edge", ["", "N" * GAP])
@pytest.mark.parametrize("strand", [1, -1])
def test_a_gene_at_an_edge_or_a_gap_is_partial(edge: str, strand: int) -> None:
    """At an edge even a start codon may not be the gene's first."""

    def read(sequence: str) -> Genes:
        around = STOPS + edge + sequence + edge + STOPS if edge else sequence
        return one(around if strand == 1 else str(Seq(around).reverse_complement()))

    without_start = read("ATG" + INSIDE + STOPS)
    assert without_start.strand.tolist() == [strand]
    assert (without_start.partial_5.tolist(), without_start.partial_3.tolist()) == ([True], [False])
    assert without_start.start_codons.to_pylist() == [""]
    assert without_start.proteins.to_pylist() == ["M" + PROTEIN + "LIN"]
    without_stop = read(STOPS + "CTG" + INSIDE)
    assert (without_stop.partial_5.tolist(), without_stop.partial_3.tolist()) == ([False], [True])
    assert without_stop.start_codons.to_pylist() == ["CTG"]
    assert without_stop.proteins.to_pylist() == ["M" + PROTEIN]


def test_fewer_other_letters_than_a_gap_are_x() -> None:
    genes = one(STOPS + "ATG" + INSIDE + "N" * 3 * 16 + "gCN" + INSIDE.lower() + STOPS)
    assert genes.proteins.to_pylist() == ["M" + PROTEIN + "X" * 17 + PROTEIN + "LIN"]
    assert genes.codons.sum() == 1 + 76 + 76 + 4


@pytest.mark.parametrize("sequence", ["", "A", "ACGT", "N" * 500])
@pytest.mark.parametrize("genetic_code", [1, 11])
def test_a_sequence_without_genes_has_none(sequence: str, genetic_code: int) -> None:
    genes = find_genes(letters(sequence), genetic_code)
    assert len(genes) == 0
    assert genes.proteins.to_pylist() == []
    assert genes.codons.sum() == 0


def test_an_unknown_genetic_code_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown genetic code 7"):
        find_genes(letters("ACGT"), 7)


def prodigal(path: str, mode: str, genetic_code: int, folder: Path, sequence: str) -> list[tuple[int, int, int]]:
    """Begin, end and strand of each gene that the program finds."""
    (folder / "in.fasta").write_text(fasta({"one": sequence}))
    command = [path, "-i", folder / "in.fasta", "-f", "sco", "-p", mode, "-m", "-q"]
    if mode == "single":
        command += ["-g", str(genetic_code)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = [line[1:].split("_") for line in printed.splitlines() if line.startswith(">")]
    return [(int(begin), int(end), 1 if strand == "+" else -1) for _, begin, end, strand in found]


@pytest.mark.parametrize(
    ("mode", "length", "genetic_code"), [("single", 154_478, 11), ("single", 154_478, 4), ("meta", 60_000, 11)]
)
def test_genes_equal_prodigals(
    mode: str, length: int, genetic_code: int, tool: Callable[[str], str], tmp_path: Path
) -> None:
    sequence = sample("plastids")["NC_000932.1"][:length]
    genes = find_genes(letters(sequence), genetic_code)
    assert genes.method == f"prodigal_{mode}"
    found = list(zip(genes.begin.tolist(), genes.end.tolist(), genes.strand.tolist(), strict=True))
    assert len(found) > 20
    assert found == sorted(prodigal(tool("prodigal"), mode, genetic_code, tmp_path, sequence))


def test_random_letters_hold_few_frames() -> None:
    """At 60 codons a random sequence still has some, which a user must know: docs/input.md says how many."""
    sequence = random_bases(np.random.default_rng(1), 1_000_000)
    assert len(open_reading_frames(letters(sequence), 1)) == pytest.approx(1_700, rel=0.1)
