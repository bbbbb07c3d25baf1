"""The assets together: what a materialisation makes, what it makes again, and what it leaves alone."""

import io
import os
import random
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
import pytest
from Bio import SeqIO

from opengenome_assets.corpus.settings import SAMPLE_FOLDER
from opengenome_assets.corpus.tables import KMERS
from opengenome_assets.framework.resources import HomeResource
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import list_source
from opengenome_assets.kernels.bases import kmer_strings
from opengenome_assets.storage.tables import Home, Table
from opengenome_assets_tests.corpora import Corpus, failure, members, write_files

FILES = {
    "plants/one.fa": ">p1 first\nACGTACGTNNACGTTGCA\n>p2\nGGGCCCATATAT\n",
    "plants/two.fa": ">q1\nTTTTTTTTTTTT\n",
    "animals/three.fa": ">r1\nacgtacgtacgt\n>r2\nACGRYTACGTA\n",
}


def sample_records():
    from isal import igzip

    for file in list_source("sample", FASTA, sample=SAMPLE_FOLDER).files:
        with igzip.open(file.uri, "rt") as stream:
            for record in SeqIO.parse(io.StringIO(stream.read()), "fasta"):
                yield file.source, record.id, str(record.seq)


def windows(sequence: str, k: int, step: int = 1, start: int = 0):
    for place in range(start, len(sequence) - k + 1, step):
        word = sequence[place : place + k]
        if set(word) <= set("ACGT"):
            yield word


def test_the_sample_end_to_end_equals_a_slow_count_of_the_same_files(sample):
    made, result = sample.corpus, sample.result
    evaluations = result.get_asset_check_evaluations()
    assert len(evaluations) > 20
    assert all(evaluation.passed for evaluation in evaluations)

    records = list(sample_records())
    rows = made.home.table("sequence_shards").read().to_pylist()
    assert sorted((r["source"], r["seq_id"], r["sequence"]) for r in rows) == sorted(records)

    expected: dict[tuple[str, int], Counter[str]] = {}
    for source, _, sequence in records:
        for k in (6, 7):
            for name in (source, "all"):
                expected.setdefault((name, k), Counter()).update(windows(sequence, k))
    for k in (6, 7):
        frame = made.home.table(f"kmer_freq_k{k}").read().to_pandas()
        for source, found in frame.groupby("source"):
            counts = expected[source, k]
            assert dict(zip(found["kmer"], found["count"], strict=True)) == counts
            assert found["frequency"].sum() == pytest.approx(1, abs=1e-12)
            by_rank = found.sort_values("rank")["kmer"].tolist()
            assert by_rank == sorted(counts, key=lambda word: (-counts[word], word))
            complement = str.maketrans("ACGT", "TGCA")
            for word, canonical, both in zip(found["kmer"], found["canonical"], found["canonical_count"], strict=True):
                reverse = word.translate(complement)[::-1]
                assert canonical == min(word, reverse)
                assert both == (counts[word] if word == reverse else counts[word] + counts[reverse])

    codons: dict[tuple[str, int], Counter[str]] = {}
    for source, _, sequence in records:
        for frame_number in range(3):
            for name in (source, "all"):
                codons.setdefault((name, frame_number), Counter()).update(windows(sequence, 3, 3, frame_number))
    usage = made.home.table("codon_rscu").read().to_pandas()
    for (source, frame_number), found in usage.groupby(["source", "frame"]):  # without genes, which have no frame
        seen = dict(zip(found["codon"], found["count"], strict=True))
        assert {codon: count for codon, count in seen.items() if count} == codons[source, frame_number]
    assert dict(zip(usage["source"], usage["genetic_code"], strict=True)) == {
        "mitochondria": 5,
        "plastids": 11,
        "vertebrate_mitochondria": 2,
        "all": 1,
    }

    index = {row["seq_id"]: row for row in made.home.table("tfidf_index").read().to_pylist()}
    names = kmer_strings(6)
    for _, identifier, sequence in records:
        row = index[identifier]
        assert dict(zip(names[row["codes"]], row["counts"], strict=True)) == Counter(windows(sequence, 6))
    terms = made.home.table("tfidf_terms").read().to_pylist()
    assert sum(row["sequences"] for row in terms) == 29
    frequency = np.sum([row["document_frequency"] for row in terms], axis=0)
    for code in (0, 17, 4095):
        assert frequency[code] == sum(names[code] in sequence for _, _, sequence in records)

    stats = {row["source"]: row for row in made.home.table("sequence_stats").read().to_pylist()}
    lengths = sorted((len(sequence) for _, _, sequence in records), reverse=True)
    assert stats["all"]["sequences"] == 29
    assert stats["all"]["bases"] == sum(lengths)
    half = next(n for n in range(30) if sum(lengths[:n]) * 2 >= sum(lengths))
    assert (stats["all"]["n50"], stats["all"]["l50"]) == (lengths[half - 1], half)
    assert stats["all"]["median_length"] == float(np.median(lengths))
    gc = [(s.count("G") + s.count("C")) / sum(s.count(letter) for letter in "ACGT") for _, _, s in records]
    assert stats["all"]["gc_median"] == pytest.approx(np.median(gc), abs=5e-4)

    home = Path(made.home.uri)
    for figure in ("figure_gc_content", "figure_kmer_pca", "figure_kmers_k6"):
        assert (home / "figures" / f"{figure}.png").stat().st_size > 10_000
        assert (home / "figures" / f"{figure}.svg").read_text().startswith("<?xml")
    page = (home / "reports" / "corpus_report.html").read_text()
    assert "2,229,250" in page
    assert "is left out" not in page
    shown = made.metadata(result, "kmer_freq_k6")
    assert shown["dagster/row_count"] == made.home.table("kmer_freq_k6").read().num_rows
    assert shown["table_version"] == 0
    assert shown["path"].endswith("tables/kmer_freq_k6")
    assert shown["seconds"] >= 0
    assert "data:image/png;base64," in made.metadata(result, "figure_kmer_pca")["picture"]


@pytest.mark.slow
def test_a_second_materialisation_does_nothing_and_a_changed_file_costs_that_file(corpus, tmp_path):
    made = corpus(FILES)
    first = made.materialize()
    assert made.metadata(first, "kmer_")["shards_reused"] == 0
    names = made.home.names()
    versions = {name: made.home.table(name).history().newest for name in names}

    again = made.materialize()
    assert {name: made.home.table(name).history().newest for name in names} == versions
    assert made.metadata(again, "sequence_shards")["files_reused"] == 3
    for asset in ("kmer_", "codon_counts", "shard_stats", "tfidf_index"):
        assert made.metadata(again, asset)["bases_scanned"] == 0
        assert made.metadata(again, asset)["shards_reused"] == 3
    assert made.metadata(again, "figure_gc_content")["reused"] is True

    write_files(tmp_path / "fasta", {"plants/two.fa": ">q1\nCCCCCCCCCCCC\n>q2\nACGT\n"})
    changed = made.materialize()
    assert made.metadata(changed, "sequence_shards")["files_reused"] == 2
    for asset in ("kmer_", "codon_counts", "shard_stats", "tfidf_index", "tfidf_terms"):
        shown = made.metadata(changed, asset)
        assert (shown["shards_reused"], shown["bases_scanned"]) == (2, 16)
    counts = {(r["source"], r["kmer"]): r["count"] for r in made.content("kmer_freq_k2")}
    assert counts["plants", "CC"] == 11 + 2
    assert counts["plants", "TT"] == 1
    assert made.metadata(changed, "figure_gc_content")["reused"] is False
    # The version before is still there.
    old = made.home.table("sequence_shards").at(0).read()["seq_id"].to_pylist()
    assert sorted(old) == ["p1", "p2", "q1", "r1", "r2"]


@pytest.mark.slow
def test_a_removed_file_disappears_from_every_table_and_the_rest_is_as_if_it_had_never_been(corpus, tmp_path):
    both, without = corpus(FILES), None
    both.materialize()
    (tmp_path / "fasta" / "plants" / "two.fa").unlink()
    both.materialize()
    assert "q1" not in both.home.table("sequence_shards").read()["seq_id"].to_pylist()

    without = type(both)(Home(str(tmp_path / "other home")), both.source, both.ks)
    without.materialize()
    for name in ("sequence_shards", "kmer_", "kmer_freq_k6", "codon_rscu", "sequence_stats", "tfidf_index"):
        assert both.content(name) == without.content(name)


@pytest.mark.slow
def test_results_do_not_depend_on_how_the_corpus_is_cut(corpus, tmp_path):
    whole = corpus(FILES)
    whole.materialize()
    cut = Corpus(Home(str(tmp_path / "cut")), whole.source, whole.ks)
    cut.materialize(sequence_shards={"max_records_per_shard": 1, "compression": "snappy"})
    assert len(cut.home.table("sequence_shards").at().files) == 5
    for name in ("sequence_shards", "kmer_freq_k2", "kmer_freq_k6", "codon_rscu", "sequence_stats", "tfidf_index"):
        assert whole.content(name) == cut.content(name)


@pytest.mark.slow
def test_strictly_a_bad_file_fails_by_name_publishes_nothing_and_costs_the_good_files_nothing(corpus, tmp_path):
    made = corpus(FILES)
    made.materialize("*sequence_shards")
    write_files(tmp_path / "fasta", {"plants/new.fa": ">n\nACGT\n", "plants/junk.fa": "no fasta at all\n"})
    failed = made.materialize(ok=False, sequence_shards={"max_unusable_share": 0.0})
    said = failure(failed)
    assert "1 of 5 files cannot be used, more than the 0% that max_unusable_share allows" in said
    assert "plants/junk.fa, line 1: expected a line starting with '>', found 'no fasta at all'" in said
    assert "4 files parsed are kept" in said
    assert made.home.table("sequence_shards").read().num_rows == 5
    assert not made.home.table("kmer_").exists()

    (tmp_path / "fasta" / "plants" / "junk.fa").unlink()
    mended = made.materialize("*sequence_shards")
    assert made.metadata(mended, "sequence_shards")["files_reused"] == 4
    assert made.home.table("sequence_shards").read().num_rows == 6


@pytest.mark.long
def test_too_many_refused_records_stop_the_run_and_are_shown(corpus):
    made = corpus({**FILES, "plants/protein.faa.fa": ">m\nMEEPQSD\n"})
    failed = made.materialize(ok=False)
    said = failure(failed)
    assert "1 of 6 records were refused (16.7%)" in said
    assert "more than the 10.0% that max_rejected_share allows" in said
    assert "illegal letter 'E'" in said
    assert "plants/protein.faa.fa: 1 record, first: " in said
    assert """--config-json '{"ops": {"sequence_shards": {"config": {"max_rejected_share": 0.17}}}}'""" in said
    (refused,) = made.content("rejected_records")
    assert (refused["file"], refused["record"], refused["line"], refused["header"]) == (
        "plants/protein.faa.fa",
        1,
        1,
        "m",
    )
    assert not made.home.table("sequence_shards").exists()
    history = [event.asset_key.to_user_string() for event in failed.get_asset_materialization_events()]
    assert history == ["raw_fasta", "rejected_records"]

    allowed = made.materialize("sequence_shards,rejected_records", sequence_shards={"max_rejected_share": 0.2})
    assert made.metadata(allowed, "sequence_shards")["files_reused"] == 4
    assert made.home.table("sequence_shards").read().num_rows == 5

    write_files(Path(made.source), {"mosses/protein.faa.fa": ">o\nMEEP\n>p\nMEEP\n"})
    assert "mosses/protein.faa.fa: 2 records, first: " in failure(made.materialize(ok=False))
    two = replace(made, source=",".join(str(Path(made.source, name)) for name in ("plants", "mosses")))
    said = failure(two.materialize(ok=False))
    assert said.index("mosses: protein.faa.fa: 2 records, first: ") < said.index("plants: protein.faa.fa: 1 record, ")


@pytest.mark.long
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("/no/such/folder", "no such file or folder"),
        ("ftp://host/genomes", "expected 'sample', a local file or folder, or hf://datasets"),
    ],
)
def test_a_source_that_cannot_be_used_stops_at_once(corpus, source, said):
    made = corpus()
    made.source = source
    result = made.materialize(ok=False)
    assert said in failure(result)
    assert made.home.names() == []


@pytest.mark.slow
def test_kmers_can_be_made_alone_and_the_report_says_what_it_lacks(corpus):
    made = corpus(FILES)
    made.materialize("*sequence_shards,rejected_records")
    made.materialize("kmer_*")
    assert {"kmer_", "kmer_freq_k2", "kmer_freq_k6"} <= set(made.home.names())
    page = (Path(made.home.uri) / "reports" / "corpus_report.html").read_text()
    assert "codon_rscu has not been made yet and is left out" in page
    assert "To make it: <code>opengenome run</code>" in page


@pytest.mark.slow
def test_a_table_of_another_corpus_is_left_out_of_the_report_by_name(corpus, tmp_path):
    made = corpus(FILES)
    made.materialize()
    write_files(tmp_path / "fasta", {"plants/two.fa": ">q1\nCCCCCCCCCCCC\n"})
    made.materialize("*sequence_shards,rejected_records,kmer_*")
    page = (Path(made.home.uri) / "reports" / "corpus_report.html").read_text()
    assert "codon_rscu was made from another corpus" in page
    assert "kmer_freq_k6 was made" not in page


def test_without_shards_a_scan_says_what_to_make_first(corpus):
    result = corpus(FILES).materialize("kmer_", ok=False)
    assert "dagster asset materialize -m opengenome_assets.definitions --select '*sequence_shards'" in failure(result)


@pytest.mark.long
def test_selecting_one_of_two_tables_made_together_records_both(corpus):
    made = corpus(FILES)
    made.materialize("*sequence_shards")
    result = made.materialize("tfidf_index")
    recorded = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert recorded == {"tfidf_index", "tfidf_terms"}


@pytest.mark.long
def test_an_unknown_genetic_code_is_named(corpus):
    made = corpus(FILES)
    made.materialize("*codon_counts")
    result = made.materialize("genes", ok=False, genes={"genetic_codes": {"plants": 99}})
    assert "99" in failure(result)


@pytest.mark.long
def test_genetic_codes_are_set_by_source(corpus):
    made = corpus(FILES)
    made.materialize("*codon_counts,rejected_records")
    made.materialize("genes,gene_codons,codon_rscu", genes={"genetic_codes": {"plants": 11, "animals": 2}})
    meaning = {(r["source"], r["codon"]): (r["amino_acid"], r["genetic_code"]) for r in made.content("codon_rscu")}
    assert meaning["animals", "TGA"] == ("W", 2)
    assert meaning["plants", "TGA"] == ("*", 11)
    assert meaning["all", "TGA"] == ("*", 1)


@pytest.mark.long
def test_work_finished_before_a_crash_is_not_done_again(corpus, monkeypatch):
    made = corpus(FILES)
    made.materialize("*sequence_shards,rejected_records")

    def crash(table, *arguments):
        raise OSError("the machine went away between the files and the commit")

    with monkeypatch.context() as patch:
        patch.setattr(Table, "commit", crash)
        crashed = made.materialize("kmer_", ok=False)
    assert "the machine went away" in failure(crashed)
    assert not made.home.table("kmer_").exists()
    resumed = made.materialize("kmer_")
    assert made.metadata(resumed, "kmer_")["shards_reused"] == 3
    assert made.home.table("kmer_").read().num_rows == 6


@pytest.mark.long
def test_a_shard_deleted_by_hand_is_named_and_made_again(corpus):
    made = corpus(FILES)
    made.materialize("*sequence_shards,rejected_records")
    file = made.home.table("sequence_shards").at().files[0]
    os.unlink(f"{made.home.table('sequence_shards').uri}/{file.path}")
    result = made.materialize("kmer_", ok=False)
    assert "missing or were changed by hand" in failure(result)
    mended = made.materialize("*kmer_,rejected_records")
    assert made.metadata(mended, "sequence_shards")["files_reused"] == 2
    assert made.home.table("sequence_shards").read().num_rows == 5


@pytest.mark.long
def test_new_code_counts_again(corpus, monkeypatch):
    made = corpus(FILES)
    made.materialize("*kmer_,rejected_records")
    monkeypatch.setattr("opengenome_assets.corpus.kmers.KMERS", replace(KMERS, code_version="2"))
    monkeypatch.setattr("opengenome_assets_tests.corpora.members", members.__wrapped__)  # not those of version 1
    result = made.materialize("kmer_")
    assert made.metadata(result, "kmer_")["shards_reused"] == 0
    assert made.home.table("kmer_").provenance().code_version == "2"
    assert KMERS.schema.names == made.home.table("kmer_").read().schema.names


@pytest.mark.slow
def test_a_flipped_bit_in_a_shard_is_found_and_mended_as_the_message_says(corpus):
    sequence = "".join(random.Random(1).choices("ACGT", k=10_000))
    made = corpus({"one/a.fa": f">a\n{sequence}\n"})
    made.materialize("*sequence_shards,rejected_records")
    (file,) = made.home.table("sequence_shards").at().files
    path = Path(made.home.table("sequence_shards").uri, file.path)
    content = bytearray(path.read_bytes())
    page = pq.read_metadata(path).row_group(0).column(5)
    assert page.path_in_schema == "sequence"
    content[page.data_page_offset + page.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    said = failure(made.materialize("kmer_", ok=False))
    assert f"Delete the folder {path.parent}" in said
    shutil.rmtree(path.parent)
    made.materialize("*kmer_,rejected_records")
    assert made.home.table("sequence_shards").read()["sequence"].to_pylist() == [sequence]


@pytest.mark.long
def test_a_corpus_of_which_nothing_is_left_stops_the_run(corpus):
    made = corpus(FILES)
    made.materialize("*sequence_shards,rejected_records")
    said = failure(made.materialize(ok=False, sequence_shards={"min_length": 1000}))
    assert "no sequence is left: of 5 records 0 were refused, 5 are shorter than min_length (1,000)" in said
    assert made.home.table("sequence_shards").read().num_rows == 5


@pytest.mark.pictures
@pytest.mark.slow
def test_files_that_give_nothing_and_files_that_say_the_same_are_named(corpus):
    made = corpus({**FILES, "plants/copy.fa": FILES["plants/two.fa"], "short/s.fa": ">s\nAC\n"})
    result = made.materialize("*sequence_shards,rejected_records", sequence_shards={"min_length": 3})
    assert made.metadata(result, "sequence_shards")["files_without_sequences"] == ["short/s.fa"]
    assert made.metadata(result, "raw_fasta")["same_content"] == [["plants: plants/copy.fa", "plants: plants/two.fa"]]


@pytest.mark.long
def test_the_samples_genetic_codes_go_with_the_sample_not_with_the_name(corpus):
    made = corpus({"mitochondria/m.fa": ">m\nACGTGA\n"})
    made.source = f"sample,{made.source}"
    made.materialize("*codon_rscu,rejected_records")
    codes = {row["source"]: row["genetic_code"] for row in made.content("codon_rscu")}
    assert codes == {
        "plastids": 11,
        "vertebrate_mitochondria": 2,
        "sample/mitochondria": 5,
        "fasta/mitochondria": 1,
        "all": 1,
    }


@pytest.mark.long
def test_a_folder_called_like_a_source_of_the_sample_gets_no_code_by_its_name(corpus):
    made = corpus({"mitochondria/m.fa": ">m\nACGTGA\n"})  # by run config; the environment's source is the sample
    made.materialize("*codon_rscu,rejected_records")
    assert {row["source"]: row["genetic_code"] for row in made.content("codon_rscu")} == {"mitochondria": 1, "all": 1}


@pytest.mark.slow
def test_runs_in_one_home_wait_for_each_other(corpus):
    made = corpus(FILES)
    started, release = threading.Event(), threading.Event()

    @dg.asset
    def slow(home: dg.ResourceParam[Home]) -> None:
        started.set()
        release.wait(30)

    def other_run() -> None:
        dg.materialize([slow], resources={"home": HomeResource(uri=made.home.uri)})

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(other_run)
        assert started.wait(30)
        second = threads.submit(made.materialize, "raw_fasta")
        time.sleep(1.5)
        assert not second.done()
        release.set()
        first.result()
        assert second.result().success


@pytest.mark.pictures
@pytest.mark.slow
def test_a_damaged_figure_is_drawn_again(corpus):
    made = corpus(FILES)
    made.materialize("*figure_lengths,rejected_records")
    picture = Path(made.home.uri, "figures", "figure_lengths.png")
    whole = picture.read_bytes()
    picture.write_bytes(whole[:100])
    result = made.materialize("figure_lengths")
    assert made.metadata(result, "figure_lengths")["reused"] is False
    assert picture.read_bytes() == whole
