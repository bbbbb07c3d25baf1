"""Many small files: their parts share packs, and every table is what parts of their own would have made it."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from opengenome_assets.engine.processes import Processes
from opengenome_assets.storage import packs
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, keep_up, write_files

pytestmark = pytest.mark.slow

SHARDED = [
    "sequence_shards",
    "kmer_",
    "codon_counts",
    "shard_stats",
    "tfidf_index",
    "tfidf_terms",
    "genes",
    "gene_codons",
]
PACKED = [*SHARDED, "rejected_records"]
LENIENT = {"sequence_shards": {"max_rejected_share": 0.5, "max_unusable_share": 0.5}}


def files() -> dict[str, str]:
    """Some small files, of which one gives only refused records."""
    chance = random.Random(1)

    def records(number: int, length: int) -> str:
        return "".join(f">{number}_{n}\n{''.join(chance.choices('ACGTN', k=length))}\n" for n in range(number % 3 + 1))

    small = {f"{'ab'[number % 2]}/{number:02}.fa": records(number, 400 + number) for number in range(10)}
    return {**small, "a/refused.fa": ">r\nAC!T\n>s\n\n"}


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let four small parts be many, with three in a pack."""
    monkeypatch.setattr(packs, "MANY_PARTS", 4)
    monkeypatch.setattr(packs, "PACK_PARTS", 3)


def beside(made: Corpus, folder: Path) -> Corpus:
    """Return the same corpus in another home."""
    return replace(made, home=Home(str(folder)))


def facts(made: Corpus, name: str) -> dict[str, dict]:
    """Return the facts of each part of a table, by key."""
    table = made.home.table(name)
    return {key: part.facts for key, part in table.parts().find_all(table.at().parts).items()}


def stored(made: Corpus) -> dict[str, bytes]:
    """Return the bytes of the packs of all tables, by table and manifest."""
    found = {}
    for manifest in Path(made.home.uri, "tables").glob("*/packs/*/_manifest.json"):
        for file in json.loads(manifest.read_text())["files"]:
            found[str(manifest.parent)[len(made.home.uri) :]] = (manifest.parents[2] / file["path"]).read_bytes()
    return found


def test_every_table_is_what_parts_of_their_own_make_it(corpus, tmp_path, together, monkeypatch):
    packed = corpus(files())
    packed.materialize(**LENIENT)
    parallel = beside(packed, tmp_path / "parallel")
    with Processes(2) as engine:
        parallel.materialize(resources={"engine": engine}, **LENIENT)
    monkeypatch.setattr(packs, "MANY_PARTS", 1000)
    alone = beside(packed, tmp_path / "alone")
    alone.materialize(**LENIENT)

    assert packed.home.names() == alone.home.names()
    for name in packed.home.names():
        ours, others = packed.home.table(name).at(), alone.home.table(name).at()
        assert ours.read().equals(others.read())
        assert ours.provenance.data_version == others.provenance.data_version
        if name in PACKED:
            assert facts(packed, name) == facts(alone, name)
            assert all("packs/" not in file.path for file in others.files)
            assert sum("packs/" in file.path for file in ours.files) in range(1, 5)
    assert stored(packed) == stored(parallel)
    assert len(stored(packed)) > len(SHARDED)


def test_nothing_is_made_again_and_a_changed_file_costs_that_file(corpus, tmp_path, together):
    made = corpus(files())
    made.materialize(**LENIENT)
    versions = {name: made.home.table(name).history().newest for name in made.home.names()}
    again = made.materialize(**LENIENT)
    assert made.metadata(again, "sequence_shards")["files_reused"] == 11
    assert {name: made.home.table(name).history().newest for name in made.home.names()} == versions

    write_files(tmp_path / "fasta", {"a/00.fa": ">new\nACGTACGTACGT\n"})
    changed = made.materialize(**LENIENT)
    assert made.metadata(changed, "sequence_shards")["files_reused"] == 10
    for asset in SHARDED[1:]:
        assert made.metadata(changed, asset)["bases_scanned"] == 12
    fresh = beside(made, tmp_path / "fresh")
    fresh.materialize(**LENIENT)
    for name in made.home.names():
        assert made.content(name) == fresh.content(name)

    keep_up(made, retention_days=0, keep_versions=1)
    after = made.materialize(**LENIENT)
    assert made.metadata(after, "sequence_shards")["files_reused"] == 11
    for asset in SHARDED[1:]:
        assert made.metadata(after, asset)["bases_scanned"] == 0


def test_a_bad_file_among_them_is_named_and_costs_the_others_nothing(corpus, tmp_path, together):
    made = corpus(files())
    write_files(
        tmp_path / "fasta",
        {"a/junk.fa": "no fasta\n", "b/cut.fa.gz": b"\x1f\x8b\x08\x00", "a/late.fa": ">x\nAC\n>x\nAC\n"},
    )
    result = made.materialize(**LENIENT)
    said = "\n".join(made.metadata(result, "sequence_shards")["unusable_files"])
    assert "a/junk.fa, line 1: expected a line starting with '>'" in said
    assert "b/cut.fa.gz: the gzip stream ends early" in said
    rows = set(made.home.table("sequence_shards").read(["file"])["file"].to_pylist())
    assert rows == {*files(), "a/late.fa"} - {"a/refused.fa"}
    refused = set(made.home.table("rejected_records").read(["file"])["file"].to_pylist())
    assert refused == {"a/refused.fa", "a/late.fa", "a/junk.fa", "b/cut.fa.gz"}
    other = beside(made, tmp_path / "without")
    for name in ("a/junk.fa", "b/cut.fa.gz"):
        (tmp_path / "fasta" / name).unlink()
    other.materialize(**LENIENT)
    for name in SHARDED:
        assert made.content(name) == other.content(name)
