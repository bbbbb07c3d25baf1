"""query_hits: the hits of SearchIndex and of scikit-learn, from many small tasks on Spark; and what is refused."""

import gzip
import hashlib
import io
import random
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from opengenome_assets.corpus.tables import TFIDF_INDEX
from opengenome_assets.kernels.bases import kmer_strings
from opengenome_assets.search import Query, SearchIndex, query_hits
from opengenome_assets.search.tables import QUERY_HITS
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, failure, write_files
from opengenome_assets_tests.intake.hub.hub_server import REPO, TOKEN, serving
from opengenome_assets_tests.kernels.texts import sample
from opengenome_assets_tests.search.corpora import fasta

INDEX = "raw_fasta,sequence_shards,tfidf_index,tfidf_terms"
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def letters(count: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=count))


def sequences() -> dict[str, dict[str, str]]:
    """Sequences by file: genomes, families of overlapping ones, and several of one content under other names."""
    family = letters(4000, 1)
    return {
        "genomes/mitochondria.fasta": dict(list(sample("mitochondria").items())[:5]),
        "genomes/plastids.fasta": dict(list(sample("plastids").items())[:2]),
        "short/family.fasta": {f"f{place}": family[100 * place : 100 * place + 900] for place in range(30)},
        "short/twins.fasta": {f"t{name}": family[:700] for name in ("3", "1", "2")},
        "windows/twins.fasta": {"t0": family[:700], "odd": "ACGTANNNNRYACGTAC", "few": "ACGTA"},
    }


def queries() -> dict[str, str]:
    """Queries by name, short and long, on either strand, with ambiguous letters, and one that nothing is like."""
    family, genome = letters(4000, 1), next(iter(sample("plastids").values()))
    made = {
        "piece": genome[30_000:33_000],
        "back": genome[90_000:90_500].translate(COMPLEMENT)[::-1],
        "twin": family[:700],
        "member": family[1234:2234],
        "ambiguous": family[:300] + "N" * 40 + family[500:800],
        "six": "ACGTAC",
    }
    return {**made, **{f"random{seed}": letters(200 + seed, seed + 50) for seed in range(20)}}


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A corpus with an index of five parts."""
    folder = tmp_path_factory.mktemp("indexed")
    write_files(folder / "fasta", {path: fasta(records) for path, records in sequences().items()})
    corpus = Corpus(Home(str(folder / "home")), str(folder / "fasta"))
    corpus.materialize(INDEX)
    return corpus


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., str]:
    """Write query files and return the folder that names them."""

    def write(files: Mapping[str, str | bytes]) -> str:
        write_files(tmp_path / "queries", files)
        return str(tmp_path / "queries")

    return write


def expected(corpus: Corpus, given: Mapping[str, str], **settings: Any) -> list[dict[str, Any]]:
    """The rows that the library gives for the same queries."""
    index = SearchIndex.open(corpus.home.uri)
    found = index.similar([Query(name, sequence.encode()) for name, sequence in given.items()], **settings)
    return [
        {"query_number": number, "query": name, **asdict(hit)}
        for number, (name, hits) in enumerate(zip(given, found, strict=True), 1)
        for hit in hits
    ]


@pytest.mark.long
@pytest.mark.parametrize(
    "settings",
    [
        {"top_n": 7, "strand": "given"},
        {"top_n": 1},
        {"top_n": 2, "sort": "containment"},
        {"top_n": 1000, "threshold": 0.05},
        {"top_n": 4, "source": "short", "sort": "containment"},
    ],
)
def test_hits_from_many_tasks_are_those_of_the_library_to_the_last_bit(
    settings: dict[str, Any], indexed: Corpus, asked: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_hits, "TASK_SEQUENCES", 1)
    monkeypatch.setattr(query_hits, "MERGED", 300)
    assert sorted(
        task.sequences for task in query_hits.deal_parts(indexed.home, indexed.home.table(TFIDF_INDEX).at(0))
    ) == [2, 3, 3, 5, 30]
    given = queries()
    result = indexed.materialize("query_hits", query_hits={"queries": asked({"q.fasta": fasta(given)}), **settings})
    rows = indexed.home.table("query_hits").read().to_pylist()
    assert {row.pop("query_file") for row in rows} == {"q.fasta"}
    assert rows == expected(indexed, given, **settings)
    metadata = indexed.metadata(result, "query_hits")
    assert (metadata["queries"], metadata["dagster/row_count"]) == (len(given), len(rows))
    assert {check.check_name: check.passed for check in result.get_asset_check_evaluations()} == {
        "columns": True,
        "ranks": True,
    }
    assert metadata["queries_without_hits"] == len(given) - len({row["query_number"] for row in rows})


@pytest.mark.long
def test_hits_are_those_of_scikit_learn(
    indexed: Corpus, asked: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    monkeypatch.setattr(query_hits, "TASK_SEQUENCES", 1)
    given = queries()
    everything = {"queries": asked({"q.fasta": fasta(given)}), "top_n": 1000, "strand": "given"}
    indexed.materialize("query_hits", query_hits=everything)
    records = [
        (name, file.split("/")[0], file, text) for file, each in sequences().items() for name, text in each.items()
    ]
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(6, 6), lowercase=False, vocabulary=kmer_strings(6))
    corpus = vectorizer.fit_transform([text for *_, text in records])
    similarities = (vectorizer.transform(given.values()) @ corpus.T).toarray()
    rows = indexed.home.table("query_hits").read().to_pylist()
    for number, row in enumerate(similarities, 1):
        found = [hit for hit in rows if hit["query_number"] == number]
        order = sorted(np.flatnonzero(row), key=lambda place: (-round(row[place], 10), *records[place][:3]))
        assert [(hit["seq_id"], hit["source"], hit["file"]) for hit in found] == [records[place][:3] for place in order]
        assert [hit["rank"] for hit in found] == list(range(1, len(order) + 1))
        np.testing.assert_allclose([hit["similarity"] for hit in found], row[order], rtol=0, atol=1e-9)


@pytest.mark.long
def test_queries_come_from_files_of_every_kind(indexed: Corpus, asked: Callable[..., str]) -> None:
    given = list(queries().items())[:5]
    records = [fasta({name: sequence}) for name, sequence in given]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("inner.fa")
        entry.size = len(records[4])
        tar.addfile(entry, io.BytesIO(records[4].encode()))
    packed = gzip.compress((records[1] + records[2]).encode())
    folder = asked(
        {
            "a.fasta": records[0].lower().replace(f">{given[0][0].lower()}", f">{given[0][0]}"),
            "b.fasta.gz.aa": packed[:300],
            "b.fasta.gz.ab": packed[300:],
            "c.fna": records[3],
            "d.tar": archive.getvalue(),
            "notes.txt": "not FASTA",
        }
    )
    indexed.materialize("query_hits", query_hits={"queries": folder, "top_n": 2})
    rows = indexed.home.table("query_hits").read().to_pylist()
    files = [row.pop("query_file") for row in rows]
    assert rows == expected(indexed, dict(given), top_n=2)
    by_number = dict(zip((row["query_number"] for row in rows), files, strict=True))
    assert by_number == {1: "a.fasta", 2: "b.fasta.gz", 3: "b.fasta.gz", 4: "c.fna", 5: "d.tar/inner.fa"}


@pytest.mark.long
def test_the_same_search_is_not_done_twice_and_says_what_it_was_made_from(
    indexed: Corpus, asked: Callable[..., str]
) -> None:
    given = queries()
    config = {"queries": asked({"q.fasta": fasta({"piece": given["piece"]})}), "top_n": 3}
    first = indexed.metadata(indexed.materialize("query_hits", query_hits=config), "query_hits")
    again = indexed.metadata(indexed.materialize("query_hits", query_hits=config), "query_hits")
    assert again["table_version"] == first["table_version"]
    assert (again["parquet_files_added"], again["dagster/row_count"]) == (0, 3)
    record = indexed.home.table("query_hits").provenance()
    assert {name: given.version for name, given in record.inputs.items()} == {
        "sequence_shards": 0,
        "tfidf_index": 0,
        "tfidf_terms": 0,
    }
    assert record.corpus == indexed.home.table("sequence_shards").provenance().corpus
    assert (record.settings["top_n"], list(record.settings["queries"])) == (3, ["queries: q.fasta"])
    asked({"q.fasta": fasta({"twin": given["twin"]})})
    other = indexed.metadata(indexed.materialize("query_hits", query_hits=config), "query_hits")
    assert other["table_version"] == first["table_version"] + 1
    assert indexed.home.table("query_hits").provenance().settings["queries"] != record.settings["queries"]
    assert {row["query"] for row in indexed.home.table("query_hits").read().to_pylist()} == {"twin"}
    assert {row["query"] for row in indexed.home.table("query_hits").at(first["table_version"]).read().to_pylist()} == {
        "piece"
    }


@pytest.mark.long
def test_queries_come_from_the_hub(indexed: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(fasta(queries()).encode(), mtime=0)
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.hub)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        hub.commit({"reads/q.fasta.gz": packed, "reads/README.md": b"# Reads"})
        indexed.materialize("query_hits", query_hits={"queries": f"hf://datasets/{REPO}/reads/*", "top_n": 3})
    rows = indexed.home.table("query_hits").read().drop_columns(["query_file"]).to_pylist()
    assert rows == expected(indexed, queries(), top_n=3)
    (sha256,) = indexed.home.table("query_hits").provenance().settings["queries"].values()
    assert sha256 == hashlib.sha256(packed).hexdigest()


@pytest.mark.long
def test_queries_without_any_hit_are_a_result(indexed: Corpus, asked: Callable[..., str]) -> None:
    config = {"queries": asked({"q.fasta": fasta(queries())}), "threshold": 1.0, "source": "genomes"}
    metadata = indexed.metadata(indexed.materialize("query_hits", query_hits=config), "query_hits")
    assert (metadata["queries_without_hits"], metadata["dagster/row_count"]) == (len(queries()), 0)
    assert indexed.home.table("query_hits").read().schema.names == QUERY_HITS.schema.names


@pytest.mark.long
def test_no_queries_are_no_failure_unless_nothing_else_is_asked_for(
    indexed: Corpus,
) -> None:
    result = indexed.materialize(f"{INDEX},query_hits")
    assert "query_hits" not in {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}
    assert "query_hits" not in {check.asset_key.path[-1] for check in result.get_asset_check_evaluations()}
    assert "no queries: name their FASTA files in OPENGENOME_QUERIES" in failure(
        indexed.materialize("query_hits", ok=False)
    )


@pytest.mark.long
def test_queries_may_be_named_by_the_settings_and_not_by_the_environment_of_the_step(
    indexed: Corpus, asked: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENGENOME_QUERIES", "/nowhere")
    named = replace(indexed, queries=asked({"env.fasta": fasta({"fromenv": queries()["twin"]})}))
    named.materialize(f"{INDEX},query_hits")
    rows = indexed.home.table("query_hits").read().to_pylist()
    assert {(row["query_file"], row["query"]) for row in rows} == {("env.fasta", "fromenv")}
    assert [row["seq_id"] for row in rows[:4]] == ["t0", "t1", "t2", "t3"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("files", "settings", "message"),
    [
        (
            {"q.fa": ">poor\nACGTNACGTA\n"},
            {},
            "no query can be searched with; the first of 1: q.fa, record 1, line 1: ",
        ),
        ({"q.fa.gz": gzip.compress(b">a\nACGTACGT\n" * 99)[:-9]}, {}, "q.fa.gz: the gzip stream ends early"),
        ({"q.fa.gz.ab": b"x"}, {}, "q.fa.gz"),
        ({"notes.txt": ""}, {}, "no FASTA file found"),
        (
            {"q.fa": ">a\nACGTACGT\n"},
            {"source": "shorts"},
            "no source is called shorts; tfidf_index has genomes, short",
        ),
        ({}, {}, "no such file or folder"),
    ],
)
def test_what_cannot_be_searched_is_told_and_changes_nothing(
    files: dict[str, str | bytes], settings: dict[str, Any], message: str, indexed: Corpus, asked: Callable[..., str]
) -> None:
    before = indexed.home.table("query_hits").history().newest if indexed.home.table("query_hits").exists() else None
    result = indexed.materialize("query_hits", ok=False, query_hits={"queries": asked(files), **settings})
    assert message in failure(result)
    after = indexed.home.table("query_hits").history().newest if indexed.home.table("query_hits").exists() else None
    assert after == before


@pytest.mark.long
def test_what_cannot_be_searched_with_is_named_and_costs_no_other_query(
    indexed: Corpus, asked: Callable[..., str]
) -> None:
    given = dict(list(queries().items())[:3])
    piece, back, twin = (fasta({name: sequence}) for name, sequence in given.items())
    files = {
        "a.fa": f">poor\nACGTNACGTA\n{piece}>bad\nACGTACGTX\n",
        "b.fa.gz": gzip.compress(back.encode())[:-9],
        "c.fa": "@read\nACGTACGT\n+\nIIIIIIII\n",
        "d.fa": f"{back}>\nACGTACGT\n{twin}",
    }
    result = indexed.materialize("query_hits", query_hits={"queries": asked(files), "top_n": 2})
    rows = indexed.home.table("query_hits").read().to_pylist()
    assert list(dict.fromkeys((row["query_file"], row["query_number"], row["query"]) for row in rows)) == [
        ("a.fa", 2, "piece"),
        ("d.fa", 4, "back"),
        ("d.fa", 6, "twin"),
    ]
    found = expected(indexed, given, top_n=2)
    assert [row | {"query_number": 0, "query_file": ""} for row in rows] == [
        row | {"query_number": 0, "query_file": ""} for row in found
    ]
    metadata = indexed.metadata(result, "query_hits")
    assert (metadata["queries"], metadata["queries_refused"]) == (3, 5)
    named = [record.data for record in metadata["first_refused"]]
    assert [(each["file"], each["record"], each["line"]) for each in named] == [
        ("a.fa", 1, 1),
        ("a.fa", 3, 4 + piece.count("\n") - 1),
        ("b.fa.gz", 0, 0),
        ("c.fa", 0, 0),
        ("d.fa", 2, 1 + back.count("\n")),
    ]
    reasons = ["no 6 letters in a row", "'X'", "the gzip stream ends early", "FASTQ", "record 2"]
    assert all(reason in each["reason"] for reason, each in zip(reasons, named, strict=True)), named


@pytest.mark.parametrize(
    ("column", "value"), [("rank", 3), ("similarity", 1.5), ("similarity", 0.0), ("query_number", 1), ("seq_id", "a")]
)
def test_the_check_of_ranks_finds_a_wrong_row(column: str, value: Any, tmp_path: Path) -> None:
    tables = Home(str(tmp_path))
    row = {"query_file": "q", "query": "a", "source": "s", "length": 1, "description": "", "strand": "+", "file": "f"}
    hits = [(1, 1, "b", 0.9), (1, 2, "c", 0.5), (2, 1, "b", 0.5), (2, 2, "c", 0.5)]
    rows = [{**row, "query_number": n, "rank": rank, "seq_id": name, "similarity": s} for n, rank, name, s in hits]
    for wrong in (False, True):
        rows[3] |= {column: value} if wrong else {}
        made = Provenance(name="query_hits", code_version=str(wrong))
        tables.table("query_hits").write(pa.Table.from_pylist(rows, QUERY_HITS.schema), made)
        assert len(list(query_hits.ranks.problems(tables))) == wrong


def test_the_check_of_ranks_knows_the_order_by_containment(tmp_path: Path) -> None:
    tables = Home(str(tmp_path))
    row = {"query_file": "q", "query": "a", "source": "s", "length": 1, "description": "", "strand": "+", "file": "f"}
    hits = [(1, 1, "b", 0.5, 1.0), (1, 2, "c", 0.9, 0.5), (1, 3, "a", 0.8, 0.5), (2, 1, "a", 0.9, None)]
    names = ("query_number", "rank", "seq_id", "similarity", "containment")
    rows = pa.Table.from_pylist([row | dict(zip(names, hit, strict=True)) for hit in hits], QUERY_HITS.schema)
    for sort, wrong in (("containment", []), ("similarity", ["query 1, rank 2: c with similarity 0.9"])):
        made = Provenance(name="query_hits", code_version="2", settings={"sort": sort})
        tables.table("query_hits").write(rows, made)
        assert list(query_hits.ranks.problems(tables)) == wrong


@pytest.mark.long
def test_a_table_with_the_columns_of_before_is_read_and_gets_the_new_ones(
    indexed: Corpus, asked: Callable[..., str], tmp_path: Path
) -> None:
    own = replace(indexed, home=Home(str(shutil.copytree(indexed.home.uri, tmp_path / "home"))))
    shutil.rmtree(tmp_path / "home" / "tables" / "query_hits", ignore_errors=True)
    row = {"query_file": "q", "query": "a", "source": "s", "length": 1, "description": "", "strand": "+", "file": "f"}
    row |= {"query_number": 1, "rank": 1, "seq_id": "b", "similarity": 0.5}
    before = pa.schema([field for field in QUERY_HITS.schema if field.name in row])
    made = Provenance(name="query_hits", code_version="1", settings={"both_strands": False})
    own.home.table("query_hits").write(pa.Table.from_pylist([row], before), made)
    assert list(query_hits.ranks.problems(own.home)) == []
    given = {"piece": queries()["piece"]}
    own.materialize("query_hits", query_hits={"queries": asked({"q.fasta": fasta(given)}), "top_n": 2})
    rows = own.home.table("query_hits").read().drop_columns(["query_file"]).to_pylist()
    assert rows == expected(own, given, top_n=2)
    assert (rows[0]["containment"], rows[0]["identity"], rows[0]["k"]) == (1.0, 1.0, 21)
    assert own.home.table("query_hits").at(0).read().num_rows == 1


@pytest.mark.parametrize(("sequences", "dealt"), [(43, [43]), (22, [13, 30]), (15, [6, 7, 30]), (1, [2, 3, 3, 5, 30])])
def test_parts_are_dealt_evenly(
    sequences: int, dealt: list[int], indexed: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_hits, "TASK_SEQUENCES", sequences)
    tasks = query_hits.deal_parts(indexed.home, indexed.home.table(TFIDF_INDEX).at(0))
    assert sorted(task.sequences for task in tasks) == dealt
    assert len({key for task in tasks for key in task.parts}) == 5
