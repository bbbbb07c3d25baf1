"""A home of version 0.1.0 is read and its parts are used again: nobody's data is made again by an upgrade.

``fixtures/home-0.1.0.tar.xz`` holds three FASTA files and the home that commit e5e4009 made of them: every table in two
versions, small parts packed by upkeep, the record of each figure, and one figure. One of the files has refused records.
"""

import hashlib
import shutil
import tarfile
from pathlib import Path

import pytest

from opengenome_assets import groups
from opengenome_assets.definitions import build_defs
from opengenome_assets.framework.figures import load_figure
from opengenome_assets.lineage import tree
from opengenome_assets.lineage.inventory import take_inventory
from opengenome_assets.operations.reproduce import reproduce
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import ENGINE, Corpus

pytestmark = pytest.mark.slow

ARCHIVE = Path(__file__).parent / "fixtures" / "home-0.1.0.tar.xz"
# The new catalogue says where the files lie now; the new table of refused records has a column more; that of codon
# usage has the column ``basis``, and the codons of genes. Edges of lengths are now the same on every processor.
CHANGED = {"raw_fasta", "rejected_records", "codon_rscu", "sequence_stats"}
# Tables that were none then.
NEW = {"genes", "gene_codons", "codon_bias"}
LENIENT = {"sequence_shards": {"max_rejected_share": 0.5}}


@pytest.fixture
def old(tmp_path: Path) -> Corpus:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return Corpus(Home(str(tmp_path / "home")), str(tmp_path / "fasta"))


def stored(corpus: Corpus) -> dict[str, str]:
    """Return the SHA-256 of every Parquet file and manifest, by its path below the tables."""
    root = Path(corpus.home.uri, "tables")
    notes = {"_delta_log", ".newest"}
    files = [path for path in root.rglob("*") if path.is_file() and not notes & {*path.parts}]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def parts_of(table: str, files: dict[str, str]) -> set[str]:
    """Return the keys of a table's parts."""
    return {path.split("/")[1] for path in files if path.startswith(f"{table}/") and "/packs/" not in path}


def test_every_version_is_read_and_called_current_and_no_code_is_said_to_have_changed(old):
    assert len(old.home.names()) == 12
    for name in old.home.names():
        for version in old.home.table(name).history().layouts():
            snapshot = old.home.table(name).at(version)
            assert snapshot.read().num_rows == snapshot.rows
            assert snapshot.provenance.package_version == "0.1.0"
        lines = tree.draw(tree.lineage(old.home, groups.specs(), name))
        assert not [line for line in lines if "changed" in line or "other code" in line]
    inventory = take_inventory(old.settings, groups.specs(), lambda name: groups.outside(old.settings, name))
    assert {table.state for table in inventory.tables} == {"current"}


def test_an_upgrade_makes_nothing_again_but_what_its_code_version_says(old):
    before, versions = stored(old), {name: old.home.table(name).provenance() for name in old.home.names()}
    result = old.materialize(**LENIENT)
    after = stored(old)
    assert {path: after.get(path) for path in before if path.split("/")[0] not in CHANGED | {"sequence_shards"}} == {
        path: digest for path, digest in before.items() if path.split("/")[0] not in CHANGED | {"sequence_shards"}
    }
    added = {path for path in after.keys() - before.keys() if not path.startswith("tfidf_index/mapped/")}
    assert {path.split("/")[0] for path in added} <= CHANGED | NEW | {"sequence_shards"}
    # Of the shards, the part of the file with refused records was written again, under the same key.
    keys = {path.split("/")[1] for path in before if path.startswith("sequence_shards/") and "/packs/" not in path}
    assert {
        path.split("/")[1] for path in after if path.startswith("sequence_shards/") and "/packs/" not in path
    } == keys
    for name, record in versions.items():
        same = old.home.table(name).provenance().data_version == record.data_version
        assert same == (name not in ("rejected_records", "codon_rscu", "sequence_stats")), name
    shards = old.metadata(result, "sequence_shards")
    assert (shards["files"], shards["files_reused"]) == (3, 2)
    for name in ("shard_stats", "kmer_", "codon_counts", "tfidf_index"):
        told = old.metadata(result, name)
        assert (told["shards"], told["shards_reused"]) == (3, 3), name
    assert old.metadata(result, "figure_lengths")["reused"] is False  # drawn again, with whole names
    rejected = old.home.table("rejected_records").read().to_pylist()
    assert [row["kind"] for row in rejected] == ["illegal letter '!'", "repeated identifier"]


def test_a_figure_of_then_is_whole(old):
    assert load_figure(old.home, "figure_lengths") is not None


@pytest.mark.parametrize("name", ["kmer_", "kmer_freq_k6", "codon_counts", "tfidf_index"])
def test_what_was_made_then_is_made_again_byte_for_byte(old, tmp_path, name):
    def build(record, home):
        return build_defs(groups.settings_of(record, home))

    scratch = tmp_path / "scratch"
    found = reproduce(old.home, groups.specs(), build, name, 0, str(scratch), ENGINE)
    assert (found.comparison.differences, found.comparison.files) == ([], "identical")
    shutil.rmtree(scratch)
