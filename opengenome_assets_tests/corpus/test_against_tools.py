"""The published tables against programs that nobody here wrote, on the shipped sample."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from Bio import SeqIO
from Bio.Data import CodonTable
from Bio.SeqUtils import gc_fraction
from isal import igzip

from opengenome_assets.corpus.settings import SAMPLE_FOLDER
from opengenome_assets.corpus.tfidf_index import sequence_kmers_of
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import list_source
from opengenome_assets.kernels.bases import kmer_strings
from opengenome_assets.kernels.tfidf import inverse_document_frequency, tfidf, total_frequency

pytestmark = pytest.mark.peer


def records(source: str) -> Iterator[SeqIO.SeqRecord]:
    for file in list_source("sample", FASTA, sample=SAMPLE_FOLDER).files:
        if source in (file.source, "all"):
            with igzip.open(file.uri, "rt") as stream:
                yield from SeqIO.parse(stream, "fasta")


def plain_fasta(source: str, path: Path) -> Path:
    SeqIO.write(records(source), path, "fasta")
    return path


def table(sample, name: str, **where: object) -> pd.DataFrame:
    frame = sample.corpus.home.table(name).read().to_pandas()
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame


@pytest.mark.parametrize("source", ["plastids", "mitochondria", "all"])
@pytest.mark.parametrize("k", [6, 7, 8])
def test_kmer_tables_equal_jellyfishs_dump(sample, tool, tmp_path, source, k):
    fasta = plain_fasta(source, tmp_path / "plain.fasta")
    subprocess.run([tool("jellyfish"), "count", "-m", str(k), "-s", "1M", "-o", tmp_path / "jf", fasta], check=True)
    dump = subprocess.run(
        [tool("jellyfish"), "dump", "-c", tmp_path / "jf"], check=True, capture_output=True, text=True
    )
    expected = {word: int(count) for word, count in (line.split() for line in dump.stdout.splitlines())}
    found = table(sample, f"kmer_freq_k{k}", source=source)
    assert dict(zip(found["kmer"], found["count"], strict=True)) == expected


def test_canonical_counts_equal_jellyfishs(sample, tool, tmp_path):
    fasta = plain_fasta("plastids", tmp_path / "plain.fasta")
    subprocess.run([tool("jellyfish"), "count", "-C", "-m", "6", "-s", "1M", "-o", tmp_path / "jf", fasta], check=True)
    dump = subprocess.run(
        [tool("jellyfish"), "dump", "-c", tmp_path / "jf"], check=True, capture_output=True, text=True
    )
    expected = {word: int(count) for word, count in (line.split() for line in dump.stdout.splitlines())}
    found = table(sample, "kmer_freq_k6", source="plastids")
    assert dict(zip(found["canonical"], found["canonical_count"], strict=True)) == expected


def test_codon_counts_equal_cusps_where_it_counts_what_we_count(sample, tool, tmp_path):
    """EMBOSS cusp reads frame 0 of every sequence as one coding region, by the standard code."""
    unambiguous = [record for record in records("mitochondria") if set(record.seq) <= set("ACGT")]
    SeqIO.write(unambiguous, tmp_path / "plain.fasta", "fasta")
    command = [tool("cusp"), "-sequence", tmp_path / "plain.fasta", "-outfile", tmp_path / "cusp.txt", "-auto"]
    subprocess.run(command, check=True)
    lines = [line.split() for line in (tmp_path / "cusp.txt").read_text().splitlines()]
    cusp = {line[0]: int(line[4]) for line in lines if len(line) == 5 and set(line[0]) <= set("ACGT")}
    # What cusp did not see: the records with ambiguous letters, by an independent loop.
    for record in records("mitochondria"):
        if not set(record.seq) <= set("ACGT"):
            text = str(record.seq)
            for codon in (text[i : i + 3] for i in range(0, len(text) - 2, 3)):
                if codon in cusp:
                    cusp[codon] += 1
    found = table(sample, "codon_rscu", source="mitochondria", frame=0)
    assert dict(zip(found["codon"], found["count"], strict=True)) == cusp


@pytest.mark.parametrize(("source", "code"), [("plastids", 11), ("mitochondria", 5)])
def test_amino_acids_and_rscu_follow_biopythons_table(sample, source, code):
    found = table(sample, "codon_rscu", source=source, frame=0)
    known = CodonTable.unambiguous_dna_by_id[code]
    assert set(found["genetic_code"]) == {code}
    for row in found.itertuples():
        assert row.amino_acid == known.forward_table.get(row.codon, "*")
        family = found.loc[found["amino_acid"] == row.amino_acid, "count"]
        assert row.rscu == pytest.approx(row.count * len(family) / family.sum(), rel=1e-12)


def test_tfidf_vectors_equal_scikit_learns(sample):
    from sklearn.feature_extraction.text import TfidfVectorizer

    index = sample.corpus.home.table("tfidf_index").read()
    idf = inverse_document_frequency(*total_frequency(sample.corpus.home.table("tfidf_terms").read()))
    vectors = sequence_kmers_of(index)
    ours = np.zeros((index.num_rows, 4096))
    rows = np.repeat(np.arange(index.num_rows), np.diff(vectors.row_offsets))
    ours[rows, vectors.codes] = tfidf(vectors, idf)
    texts = {record.id: str(record.seq) for record in records("all")}
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(6, 6), lowercase=False, vocabulary=list(kmer_strings(6)))
    theirs = vectorizer.fit_transform([texts[name] for name in index["seq_id"].to_pylist()]).toarray()
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_gc_equals_biopythons(sample):
    shards = table(sample, "sequence_shards")
    expected = {record.id: record.seq for record in records("all")}
    for row in shards.itertuples():
        letters = "".join(letter for letter in expected[row.seq_id] if letter in "ACGT")
        assert row.gc_content == pytest.approx(gc_fraction(letters), abs=1e-12)
