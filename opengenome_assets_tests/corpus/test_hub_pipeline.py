"""The assets from a dataset on the Hub: the same tables as from a folder, nothing fetched twice, no secret kept."""

import gzip
import hashlib
import logging
from pathlib import Path

import dagster as dg
import pytest

from opengenome_assets import groups
from opengenome_assets.corpus.group import GROUP as CORPUS
from opengenome_assets.corpus.raw_fasta import RawFastaConfig, catalogue_asset
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, failure, write_files
from opengenome_assets_tests.corpus.test_sequence_shards import in_parts, tar_of
from opengenome_assets_tests.intake.hub.hub_server import REPO, TOKEN, Fault, serving

pytestmark = pytest.mark.slow

SOURCE = f"hf://datasets/{REPO}/fasta/*/*"
PLAIN = "fasta/moss/plain.fasta"
SMALL = "fasta/moss/small.fa"  # no LFS: known by its git blob id
ZIPPED = "fasta/ferns/zipped.fasta.gz"
CUT = in_parts("fasta/ferns/cut.fasta.gz", gzip.compress(b">c1\nGGGCCCATATAT\n>c2\nTTTTTTTTTTTT\n", mtime=0))
ARCHIVE = "fasta/algae/all.tar"
FASTA = {
    PLAIN: b">p1 first\nACGTACGTNNACGTTGCA\n>p2\nGGGCCCATATAT\n",
    SMALL: b">s1\nACGRYTACGTA\n",
    ZIPPED: gzip.compress(b">z1\nacgtacgtacgt\n", mtime=0),
    **CUT,
    ARCHIVE: tar_of({"in/one.fa": b">t1\nACACACACAC\n", "in/two.fa.gz": gzip.compress(b">t1\nCCGGCCGG\n")}),
}
FILES = {"README.md": b"# Genomes", "fasta/moss/README.md": b"# Mosses", **FASTA, "other/big.fasta": b">x\nACGT\n"}
SIZE = sum(map(len, FASTA.values()))
TABLES = "*sequence_stats,*kmer_freq_k2,*kmer_freq_k6,*codon_rscu,*codon_bias,*tfidf_index,tfidf_terms,rejected_records"
ASSETS = ("shard_stats", "kmer_", "codon_counts", "tfidf_index")


@pytest.fixture
def hub(monkeypatch):
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.hub)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        server.commit(FILES)
        yield server


@pytest.fixture
def made(tmp_path):
    return Corpus(Home(str(tmp_path / "home")), SOURCE)


def fetches(hub):
    """What was asked of files' addresses."""
    return [path for where, _, path in hub.requests if where == "hub" and "/resolve/" in path]


@pytest.mark.slow
def test_a_dataset_gives_the_tables_that_its_files_in_a_folder_give_and_its_catalogue_says_where_from(
    hub, made, tmp_path
):
    (commit,) = hub.commits
    result = made.materialize()
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    write_files(tmp_path / "dataset", FASTA)
    local = Corpus(Home(str(tmp_path / "local")), str(tmp_path / "dataset"))
    local.materialize(TABLES)
    assert set(made.home.names()) == set(local.home.names())
    for name in set(made.home.names()) - {"raw_fasta"}:
        assert made.content(name) == local.content(name)

    rows = {row["path"]: row for row in made.content("raw_fasta")}
    assert set(rows) == set(FASTA)
    shown = made.metadata(result, "raw_fasta")
    for path, content in FASTA.items():
        row, sha256 = rows[path], hashlib.sha256(content).hexdigest()
        assert (row["source"], row["bytes"], row["sha256"]) == (path.split("/")[1], len(content), sha256)
        assert row["revision"] == commit
        assert Path(row["uri"]).read_bytes() == content
        (told,) = [record.data for record in shown["catalogue"] if record.data["path"] == path]
        assert (told["bytes"], told["sha256"]) == (len(content), f"{sha256[:16]}…")
        assert told["address"] == f"{hub.hub}/datasets/{REPO}/resolve/{commit}/{path}"
    assert shown["commits"] == [commit]
    assert (shown["files"], shown["files_reused"], shown["bytes"]) == (len(FASTA), 0, SIZE)
    assert (shown["bytes_fetched"], shown["bytes_reused"]) == (SIZE, 0)
    assert shown["files_left_out"] == [f"{REPO}/fasta/moss/README.md"]
    assert shown["megabytes_per_second"] >= 0
    assert sum(hub.sent.values()) == SIZE


def test_what_a_source_stands_for_has_the_present_commit(hub, tmp_path):
    settings = groups.read_settings({"OPENGENOME_SOURCE": f"{SOURCE},{tmp_path}"})
    hub.requests.clear()
    (first,) = hub.commits
    assert list(CORPUS.reads(settings)) == [f"{SOURCE} {first}", str(tmp_path)]
    assert [path for _, _, path in hub.requests if "datasets" in path] == [f"/api/datasets/{REPO}"]
    hub.commit({**FILES, PLAIN: b">p1\nACGT\n"})
    (second,) = hub.commits.keys() - {first}
    assert list(CORPUS.reads(settings)) == [f"{SOURCE} {second}", str(tmp_path)]


def test_a_run_in_which_nothing_changed_makes_a_handful_of_requests_and_fetches_nothing(hub, made):
    made.materialize("*kmer_,rejected_records")
    versions = {name: made.home.table(name).history().newest for name in made.home.names()}
    hub.requests.clear()
    result = made.materialize("*kmer_,rejected_records")
    assert len(hub.requests) == 2  # the commit, and the files it has
    shown = made.metadata(result, "raw_fasta")
    assert (shown["bytes_fetched"], shown["bytes_reused"], shown["files_reused"]) == (0, SIZE, len(FASTA))
    assert shown["megabytes_per_second"] == 0
    assert made.metadata(result, "sequence_shards")["files_reused"] == 5
    assert made.metadata(result, "kmer_")["bases_scanned"] == 0
    assert {name: made.home.table(name).history().newest for name in versions} == versions


@pytest.mark.slow
def test_a_commit_that_changes_one_file_costs_that_file_in_every_asset(hub, made):
    made.materialize(TABLES)
    hub.sent.clear()
    hub.requests.clear()
    changed = gzip.compress(b">z1\nGATTACA\n", mtime=0)
    commit = hub.commit({**FILES, ZIPPED: changed})
    result = made.materialize(TABLES)
    assert hub.sent == {ZIPPED: len(changed)}
    assert len(fetches(hub)) == 1
    shown = made.metadata(result, "raw_fasta")
    assert (shown["commits"], shown["files_reused"]) == ([commit], len(FASTA) - 1)
    assert (shown["bytes_fetched"], shown["bytes_reused"]) == (len(changed), SIZE - len(FASTA[ZIPPED]))
    assert made.metadata(result, "sequence_shards")["files_reused"] == 4
    for asset in ASSETS:
        assert made.metadata(result, asset)["bases_scanned"] == 7
    assert {row["revision"] for row in made.content("raw_fasta")} == {commit}


def test_one_changed_part_or_member_costs_its_file(hub, made):
    made.materialize("*kmer_,rejected_records")
    hub.sent.clear()
    parts = in_parts("fasta/ferns/cut.fasta.gz", gzip.compress(b">c1\nGGGCCCATATAT\n>c2\nTTTTTTTTTTTA\n", mtime=0))
    hub.commit({**FILES, **parts})
    result = made.materialize("*kmer_,rejected_records")
    assert hub.sent == {path: len(part) for path, part in parts.items() if part != CUT[path]}
    assert 0 < len(hub.sent) < len(CUT)
    assert made.metadata(result, "sequence_shards")["files_reused"] == 4
    assert made.metadata(result, "kmer_")["bases_scanned"] == 24


def test_removed_files_disappear_and_renamed_ones_are_not_fetched_again(hub, made):
    made.materialize("*kmer_,rejected_records")
    hub.sent.clear()
    left = {path: content for path, content in FILES.items() if path not in (ARCHIVE, PLAIN)}
    hub.commit({**left, "fasta/moss/renamed.fasta": FILES[PLAIN]})
    made.materialize("*kmer_,rejected_records")
    assert not hub.sent
    files = {row["file"] for row in made.content("sequence_shards")}
    assert files == {"fasta/moss/renamed.fasta", SMALL, ZIPPED, "fasta/ferns/cut.fasta.gz"}
    assert {row["source"] for row in made.content("kmer_")} == {"moss", "ferns"}


def test_a_commit_that_changes_nothing_in_use_changes_the_catalogue_only(hub, made):
    made.materialize("*kmer_,rejected_records")
    commit = hub.commit({**FILES, "README.md": b"changed", "other/big.fasta": b">x\nTTTT\n"})
    result = made.materialize("*kmer_,rejected_records")
    assert made.metadata(result, "raw_fasta")["bytes_fetched"] == 0
    assert {row["revision"] for row in made.content("raw_fasta")} == {commit}
    assert made.home.table("kmer_").history().newest == 0


def test_a_dataset_a_commit_of_it_and_a_folder_make_one_corpus(hub, made, tmp_path):
    (first,) = hub.commits
    hub.commit({**FILES, SMALL: b">s1\nGGGG\n"})
    write_files(tmp_path / "mine", {"own.fa": ">o1\nTTTT\n"})
    made.source = f"hf://datasets/{REPO}@{first}/{SMALL}, {tmp_path}/mine, hf://datasets/{REPO}/fasta/ferns"
    made.materialize("*sequence_shards,rejected_records")
    rows = {(row["source"], row["seq_id"]): row["sequence"] for row in made.content("sequence_shards")}
    assert rows.keys() == {("small", "s1"), ("mine", "o1"), ("ferns", "z1"), ("ferns", "c1"), ("ferns", "c2")}
    assert rows["small", "s1"] == "ACGRYTACGTA"


def unreachable(_, patch):
    patch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


def answering(status):
    return lambda hub, _: hub.fail("api", Fault(status, at="hub"), times=3)


def gated(hub, _):
    hub.gated = True


def corrupt(times):
    return lambda hub, _: hub.fail(ZIPPED, Fault(content=b"x" * len(FASTA[ZIPPED])), times=times)


@pytest.mark.parametrize(
    ("happens", "source", "said", "retry"),
    [
        (unreachable, SOURCE, "Check the network, HTTPS_PROXY and HF_ENDPOINT; without network, name a folder", True),
        (answering(503), SOURCE, "answered 503. Try again later", True),
        (answering(401), SOURCE, "HF_TOKEN was refused. Make a new token at", False),
        (gated, SOURCE, "accept its conditions, and set HF_TOKEN to a token of that account", False),
        (corrupt(2), SOURCE, f"{ZIPPED}: wrong content twice: the bytes received have sha256", False),
        (None, "hf://datasets/oxford/absent", "there is no dataset oxford/absent, or it is private", False),
        (None, f"hf://datasets/{REPO}@v9/fasta", "has no revision 'v9'. See its branches and tags", False),
        (None, f"hf://datasets/{REPO}/fasta/absent", f"{REPO} has no 'fasta/absent' at that revision", False),
        (None, f"hf://datasets/{REPO}/README.md", "no FASTA file found", False),
        (None, f"hf://datasets/{REPO}/fasta/ferns/*.a[bc]", "cut.fasta.gz.aa", False),
        (None, "hf://models/a/b", "names a model, expected a dataset", False),
        (None, "hf://datasets/a/b/*, /no/such/folder", "there is no dataset a/b", False),
    ],
)
def test_a_failure_is_a_sentence_that_says_what_to_do_and_whether_a_retry_can_help(
    hub, made, monkeypatch, happens, source, said, retry
):
    if happens:
        happens(hub, monkeypatch)
    with pytest.raises(dg.Failure) as caught:
        catalogue_asset("sample")(dg.build_asset_context(), config=RawFastaConfig(source=source), home=made.home)
    assert said in caught.value.description
    assert "Traceback" not in caught.value.description
    assert caught.value.allow_retries is retry
    assert made.home.names() == []


def test_a_failed_run_publishes_nothing_and_the_next_one_fetches_only_what_was_missing(hub, made):
    corrupt(2)(hub, None)
    failed = made.materialize("*kmer_,rejected_records", ok=False)
    assert f"{ZIPPED}: wrong content twice" in failure(failed)
    assert made.home.names() == []
    hub.sent.clear()
    made.materialize("*kmer_,rejected_records")
    assert hub.sent[ZIPPED] == len(FASTA[ZIPPED])
    assert sum(hub.sent.values()) < SIZE
    assert {row["sequence"] for row in made.content("sequence_shards") if row["seq_id"] == "z1"} == {"ACGTACGTACGT"}


def test_a_damaged_file_of_the_store_is_left_out_by_name_and_fetched_again_once_it_is_deleted(hub, made):
    made.materialize("raw_fasta")
    digest = hashlib.sha256(FASTA[PLAIN]).hexdigest()
    file = Path(made.home.uri, "raw", "objects", "sha256", digest[:2], digest)
    file.chmod(0o644)
    file.write_bytes(FASTA[PLAIN].replace(b"GGG", b"GGC"))
    damaged = made.materialize("sequence_shards,rejected_records")
    (check,) = [each for each in damaged.get_asset_check_evaluations() if not each.passed]
    assert f"{file}" in check.description
    assert "It is damaged: delete it, so that it is fetched again. Materialise raw_fasta again" in check.description
    assert {row["seq_id"] for row in made.content("sequence_shards")}.isdisjoint({"p1", "p2"})
    file.unlink()
    made.materialize("raw_fasta,sequence_shards,rejected_records")
    assert {"p1", "p2"} <= {row["seq_id"] for row in made.content("sequence_shards")}


def test_the_token_is_sent_to_the_hub_only_and_is_kept_and_shown_nowhere(hub, made, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    (tmp_path / "instance").mkdir()
    hub.fail(SMALL, Fault(403, {"X-Error-Message": f"{TOKEN} may not read this"}, at="hub"))
    with dg.DagsterInstance.local_temp(
        str(tmp_path / "instance"), overrides={"telemetry": {"enabled": False}}
    ) as instance:
        said = failure(made.materialize("*kmer_,rejected_records", ok=False, instance=instance))
        assert "[hidden] may not read this" in said
        result = made.materialize("*kmer_,rejected_records", instance=instance)
        kept = [repr(entry) for run in instance.get_runs() for entry in instance.all_logs(run.run_id)]
        kept += [repr((run.run_config, run.tags)) for run in instance.get_runs()]
    assert len(kept) > 50
    shown = [said, caplog.text, *capfd.readouterr(), repr(made.metadata(result, "raw_fasta"))]
    assert [text for text in kept + shown if TOKEN in text] == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
    sent = {(where, headers.get("authorization")) for where, headers in hub.headers}
    assert sent == {("hub", f"Bearer {TOKEN}"), ("storage", None)}
