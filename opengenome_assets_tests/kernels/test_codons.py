"""Codon counts and RSCU against dictionaries, Biopython, EMBOSS cusp and codonW."""

import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from Bio.Data import CodonTable
from Bio.Seq import Seq
from hypothesis import given, settings

from opengenome_assets.kernels.bases import kmer_strings
from opengenome_assets.kernels.codons import CodonCounter, codon_families, effective_codons, gc3, rscu
from opengenome_assets.kernels.genes import find_genes
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.kernels.texts import (
    EDGES,
    Text,
    by_kmer,
    fasta,
    random_bases,
    sample,
    sample_text,
    text,
    texts,
    windows,
)

CODONS = kmer_strings(3).tolist()


def count(given_text: Text) -> np.ndarray:
    counter = CodonCounter()
    counter.add(given_text.data, given_text.offsets)
    return counter.counts()


def twin(sequences: list[bytes]) -> list[Counter[str]]:
    frames: list[Counter[str]] = [Counter(), Counter(), Counter()]
    for sequence in sequences:
        for position, codon in windows(sequence, 3):
            frames[position % 3][codon] += 1
    return frames


def assert_equal(counts: np.ndarray, sequences: list[bytes]) -> None:
    assert counts.shape == (3, 64)
    assert counts.dtype == np.int64
    assert [by_kmer(frame, 3) for frame in counts] == twin(sequences)


@settings(max_examples=share(100))
@given(given_text=texts())
def test_counts_equal_a_dictionary(given_text: Text) -> None:
    assert_equal(count(given_text), given_text.sequences)


def test_every_length_of_run_in_every_frame() -> None:
    rng = np.random.default_rng(3)
    for length in EDGES:
        run = random_bases(rng, length)
        sequences = [b"N" * before + run + b"N" + run for before in range(4)]
        assert_equal(count(text(sequences)), sequences)


def test_frames_survive_an_ambiguous_letter() -> None:
    counts = count(text([b"ATGGCNTTTCAT"]))
    assert by_kmer(counts[0], 3) == {"ATG": 1, "TTT": 1, "CAT": 1}


@settings(max_examples=share(40))
@given(given_text=texts())
def test_counts_add_up(given_text: Text) -> None:
    counter = CodonCounter()
    counter.add(given_text.data, given_text.offsets)
    counter.counts()
    counter.add(given_text.data, given_text.offsets)
    np.testing.assert_array_equal(counter.counts(), 2 * count(given_text))


@pytest.mark.parametrize("source", ["plastids", "mitochondria"])
def test_sample_equals_a_biopython_loop(source: str) -> None:
    frames: list[Counter[str]] = [Counter(), Counter(), Counter()]
    for sequence in sample(source).values():
        for frame in range(3):
            letters = str(Seq(sequence)[frame:].upper())
            frames[frame].update(map("".join, zip(*[iter(letters)] * 3, strict=False)))
    counts = count(sample_text(source))
    for frame in range(3):
        assert by_kmer(counts[frame], 3) == {
            codon: number for codon, number in frames[frame].items() if set(codon) <= set("ACGT")
        }


def unambiguous(source: str) -> dict[str, str]:
    return {name: sequence for name, sequence in sample(source).items() if set(sequence) <= set("ACGT")}


@pytest.mark.parametrize("source", ["plastids", "mitochondria"])
def test_sample_equals_cusp(source: str, tool: Callable[[str], str], tmp_path: Path) -> None:
    path, table = tmp_path / "sample.fasta", tmp_path / "cusp.txt"
    named = unambiguous(source)
    assert len(named) > 5
    path.write_text(fasta(named))
    subprocess.run([tool("cusp"), "-sequence", path, "-outfile", table, "-auto"], check=True)
    rows = [line.split() for line in table.read_text().splitlines() if re.match("[ACGT]{3} ", line)]
    expected = {codon: int(number) for codon, *_, number in rows}
    counts = count(text([sequence.encode() for sequence in named.values()]))
    assert dict(zip(CODONS, counts[0].tolist(), strict=True)) == expected


@pytest.mark.parametrize("genetic_code", sorted(CodonTable.unambiguous_dna_by_id))
def test_families_are_biopythons_translation(genetic_code: int) -> None:
    table = CodonTable.unambiguous_dna_by_id[genetic_code]
    families = dict(zip(CODONS, codon_families(genetic_code), strict=True))
    for codon, family in families.items():
        if codon in table.forward_table:  # also where the codon may be a stop in another context
            assert family == table.forward_table[codon]
        else:
            assert codon in table.stop_codons
            assert family == "*"


def test_codons_of_two_meanings_are_amino_acids() -> None:
    families = dict(zip(CODONS, codon_families(28), strict=True))
    assert (families["TAA"], families["TAG"], families["TGA"]) == ("Q", "Q", "W")
    assert dict(zip(CODONS, codon_families(27), strict=True))["TGA"] == "W"
    assert dict(zip(CODONS, codon_families(31), strict=True))["TAA"] == "E"


@pytest.mark.parametrize("genetic_code", [0, 7, -1, 99])
def test_an_unknown_genetic_code_names_the_known(genetic_code: int) -> None:
    with pytest.raises(
        ValueError, match=f"unknown genetic code {genetic_code}; the known ones are 1, 2, 3, 4, 5, 6, 9"
    ):
        codon_families(genetic_code)


def test_rscu_of_a_hand_worked_example() -> None:
    """Leucine has six codons; 12 seen make a mean of 2. Tryptophan has one; serine was never seen."""
    counts = np.zeros(64, np.int64)
    for codon, number in {"TTA": 4, "TTG": 2, "CTT": 6, "TGG": 5, "TAA": 1, "TGA": 2, "AAA": 3, "AAG": 1}.items():
        counts[CODONS.index(codon)] = number
    usage = dict(zip(CODONS, rscu(counts, 1).tolist(), strict=True))
    expected = {"TTA": 2, "TTG": 1, "CTT": 3, "CTC": 0, "CTA": 0, "CTG": 0, "TGG": 1}
    expected |= {"TAA": 1, "TAG": 0, "TGA": 2, "AAA": 1.5, "AAG": 0.5}
    assert {codon: value for codon, value in usage.items() if not np.isnan(value)} == expected


def test_rscu_keeps_the_shape_and_means_1() -> None:
    counts = np.random.default_rng(4).integers(1, 50, (2, 3, 64))
    counts[0, 0] = 0
    for genetic_code in (1, 2, 5, 11):
        usage = rscu(counts, genetic_code)
        assert usage.shape == counts.shape
        assert np.isnan(usage[0, 0]).all()
        families = np.array(codon_families(genetic_code))
        for family in set(families):
            np.testing.assert_allclose(usage[1, :, families == family].mean(axis=0), 1)


@pytest.mark.parametrize(("codonw_code", "genetic_code", "source"), [(0, 11, "plastids"), (1, 2, "mitochondria")])
def test_rscu_equals_codonws(
    codonw_code: int, genetic_code: int, source: str, tool: Callable[[str], str], tmp_path: Path
) -> None:
    """CodonW prints two decimals. It reads each sequence as one gene in frame 0."""
    name, sequence = min(unambiguous(source).items(), key=lambda item: len(item[1]))
    path, bulk = tmp_path / "gene.fasta", tmp_path / "bulk.txt"
    path.write_text(fasta({name: sequence[: len(sequence) // 3 * 3]}))
    options = ["-nomenu", "-silent", "-nowarn", "-rscu", "-code", str(codonw_code)]
    subprocess.run(
        [tool("codonw"), path, tmp_path / "indices.txt", bulk, *options],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        input=b"\n" * 9,
    )
    rows = re.findall(r"([ACGU]{3})\s*(\d+)\s*(\d+\.\d+)", bulk.read_text())
    assert len(rows) == 64
    counts = count(text([sequence.encode()]))[0]
    usage = rscu(counts, genetic_code)
    for codon, number, printed in rows:
        code = CODONS.index(codon.replace("U", "T"))
        assert counts[code] == int(number)
        assert usage[code] == pytest.approx(float(printed), abs=0.0051)


def counted(**codons: int) -> np.ndarray:
    counts = np.zeros(64, np.int64)
    for codon, number in codons.items():
        counts[CODONS.index(codon)] = number
    return counts


def test_effective_codons_of_the_two_extremes() -> None:
    """One codon for each amino acid gives 20; all used equally gives as many as there are."""
    families = np.array(codon_families(1))
    first = {families[place]: place for place in reversed(range(64))}
    one_each = np.zeros(64, np.int64)
    one_each[[place for family, place in first.items() if family != "*"]] = 50
    assert effective_codons(one_each, 1) == pytest.approx(20)
    equal = np.where(families == "*", 0, 1_000_000)
    assert effective_codons(equal, 1) == pytest.approx(61, abs=1e-3)
    assert effective_codons(np.where(np.array(codon_families(2)) == "*", 0, 1_000_000), 2) == pytest.approx(
        60, abs=1e-3
    )


def test_effective_codons_of_a_hand_worked_example() -> None:
    """Phe 6 and 2 of 8: F = (8 * (36 + 4) / 64 - 1) / 7 = 4 / 7. Without other classes there is no number."""
    assert np.isnan(effective_codons(counted(TTT=6, TTC=2), 1))
    assert np.isnan(effective_codons(np.zeros(64, np.int64), 1))
    counts = counted(TTT=6, TTC=2, GTT=8, CTT=9)  # Val and Leu by one codon: F = 1, and Ile's is (4/7 + 1) / 2
    assert effective_codons(counts, 1) == pytest.approx(2 + 9 / (4 / 7) + 1 / ((4 / 7 + 1) / 2) + 5 + 3)


def test_gc3_of_a_hand_worked_example() -> None:
    counts = counted(ATG=3, TGG=1, TTT=2, TTC=1, GCG=1, TAA=5, TAG=7)
    assert gc3(counts, 1) == (pytest.approx(6 / 8), pytest.approx(2 / 4))  # stops left out; then Met and Trp too
    assert np.isnan(gc3(np.zeros(64, np.int64), 1)).all()


@pytest.mark.parametrize(
    ("codonw_code", "genetic_code", "source"), [(0, 11, "plastids"), (1, 2, "vertebrate_mitochondria")]
)
def test_bias_in_genes_equals_codonws(
    codonw_code: int, genetic_code: int, source: str, tool: Callable[[str], str], tmp_path: Path
) -> None:
    """CodonW's Nc and GC3s of all genes of a genome, joined to one; it prints two and three decimals."""
    sequence = next(iter(unambiguous(source).values()))
    genes = find_genes(np.frombuffer(sequence.encode(), np.uint8), genetic_code)
    coding = []
    for begin, end, strand in zip(genes.begin, genes.end, genes.strand, strict=True):
        read = Seq(sequence[begin - 1 : end])
        coding.append(str(read if strand == 1 else read.reverse_complement()))
    path, printed = tmp_path / "genes.fasta", tmp_path / "indices.txt"
    path.write_text(fasta({"genes": "".join(coding)}))
    subprocess.run(
        [
            tool("codonw"),
            path,
            printed,
            tmp_path / "bulk.txt",
            "-nomenu",
            "-silent",
            "-nowarn",
            "-enc",
            "-gc3s",
            "-code",
            str(codonw_code),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        input=b"\n" * 9,
    )
    heading, values = (line.split() for line in printed.read_text().splitlines()[:2])
    row = dict(zip(heading, values, strict=True))
    assert effective_codons(genes.codons, genetic_code) == pytest.approx(float(row["Nc"]), abs=0.0051)
    assert gc3(genes.codons, genetic_code)[1] == pytest.approx(float(row["GC3s"]), abs=0.00051)
