"""The inventory of a home, empty and filled."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from opengenome_assets import groups
from opengenome_assets.engine.java import JavaNotFoundError
from opengenome_assets.lineage import inventory
from opengenome_assets.lineage.inventory import Inventory, Usage, take_inventory
from opengenome_assets.settings import Setting, Settings
from opengenome_assets.storage.record import Input, Provenance
from opengenome_assets.storage.tables import Home


def taken(settings: Settings) -> Inventory:
    """Take the inventory as ``opengenome info`` does."""
    return take_inventory(settings, groups.specs(), partial(groups.outside, settings))


def test_a_home_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    found = taken(Settings(home=str(tmp_path / "none")))
    assert (found.storage, found.tables, found.figures, found.reports) == ([], [], [], [])
    assert not (tmp_path / "none").exists()


def test_settings_tell_where_they_come_from(tmp_path: Path) -> None:
    environment = {"OPENGENOME_HOME": str(tmp_path), "OPENGENOME_KS": "8,3"}
    found = taken(groups.read_settings(environment)).settings
    assert Setting("home", "OPENGENOME_HOME", str(tmp_path), "OPENGENOME_HOME") in found
    assert Setting("ks", "OPENGENOME_KS", "3,8", "OPENGENOME_KS") in found
    assert Setting("source", "OPENGENOME_SOURCE", "the home's own, else the sample", "default") in found
    assert Setting("source", "OPENGENOME_PROTEINS", "sample", "default") in found
    assert len({each.variable for each in found}) == len(found)


def test_tables_figures_and_reports_are_found(tmp_path: Path) -> None:
    home = Home(str(tmp_path))
    for version, rows in enumerate([3, 5]):
        table = pa.table({"n": pa.array(range(rows), pa.int64())})
        home.table("numbers").write(table, Provenance(name="numbers", code_version=str(version)))
    for path in (
        "figures/gc.png",
        "figures/gc.svg",
        "figures/gc.json",
        "figures/old/gc.png",
        "reports/corpus.html",
        "reports/corpus.json",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_text("12345")
    found = taken(Settings(home=str(tmp_path)))
    (state,) = found.tables
    assert (state.name, state.state, state.rows, state.version, state.files) == ("numbers", "current", 5, 1, 1)
    assert state.uri == f"{tmp_path}/tables/numbers"
    assert state.bytes == sum(file.size for file in home.table("numbers").at().files)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(state.made)) < timedelta(minutes=1)
    (figure,) = found.figures
    assert (figure.name, figure.files) == ("gc", [f"{tmp_path}/figures/gc.png", f"{tmp_path}/figures/gc.svg"])
    assert found.reports == [f"{tmp_path}/reports/corpus.html"]
    usage = {part.part: part for part in found.storage}
    assert usage["figures"] == Usage("figures", 4, 20)
    assert usage["tables"].bytes > state.bytes


def test_a_missing_java_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise JavaNotFoundError

    monkeypatch.setattr(inventory, "find_java", none)
    assert taken(Settings(home=str(tmp_path))).versions["java"] == "none"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A home in which some is made from the newest corpus, and some from the one before."""
    home = Home(str(tmp_path))
    corpora = {
        "raw_fasta": "",
        "sequence_shards": "new",
        "codon_rscu": "old",
        "kmer_freq_k6": "new",
        "kmer_freq_k9": "old",
    }
    for name, corpus in corpora.items():
        home.table(name).write(pa.table({"n": [1]}), Provenance(name=name, code_version="1", corpus=corpus))
    (tmp_path / "figures").mkdir()
    drawn = {
        "figure_rscu": (["codon_rscu"], "old"),
        "figure_kmers_k6": (["kmer_freq_k6"], "new"),
        "figure_kmers_k9": (["kmer_freq_k9"], "new"),
        "figure_spectrum": (["kmer_freq_k6", "kmer_freq_k9"], "new"),
    }
    for name, (names, corpus) in drawn.items():
        inputs = {table: Input(version=0, data_version="") for table in names}
        made = Provenance(name=name, code_version="1", corpus=corpus, inputs=inputs)
        (tmp_path / "figures" / f"{name}.json").write_text(json.dumps({"provenance": made.model_dump()}))
        (tmp_path / "figures" / f"{name}.png").touch()
    (tmp_path / "figures" / "figure_lengths.svg").touch()
    return tmp_path


def states(home: Path) -> dict[str, str]:
    found = taken(Settings(home=str(home)))
    return {each.name: each.state for each in [*found.tables, *found.figures]}


def test_what_was_made_from_another_corpus_or_another_k_is_told_from_what_is_current(made: Path) -> None:
    assert states(made) == {
        "raw_fasta": "current",
        "sequence_shards": "current",
        "codon_rscu": "from another corpus",
        "kmer_freq_k6": "current",
        "kmer_freq_k9": "not in OPENGENOME_KS",
        "figure_rscu": "from another corpus",
        "figure_kmers_k6": "current",
        "figure_kmers_k9": "not in OPENGENOME_KS",
        "figure_spectrum": "current",
        "figure_lengths": "without record",
    }


@pytest.mark.parametrize("log", [b"", b"{junk", b"\xff\x00"])
@pytest.mark.long
def test_what_is_damaged_has_its_row_and_hides_nothing_else(made: Path, log: bytes) -> None:
    before = states(made)
    (made / "tables" / "codon_rscu" / "_delta_log" / "00000000000000000000.json").write_bytes(log)
    (made / "figures" / "figure_rscu.json").write_bytes(log)
    after = states(made)
    for name in ("codon_rscu", "figure_rscu"):
        assert after.pop(name).startswith("unreadable: ")
        before.pop(name)
    assert after == before
    (row,) = [each for each in taken(Settings(home=str(made))).tables if each.name == "codon_rscu"]
    assert (row.rows, row.version, row.made) == (None, None, None)


def test_without_a_readable_sequence_shards_nothing_is_called_current_or_old(made: Path) -> None:
    (made / "tables" / "sequence_shards" / "_delta_log" / "00000000000000000000.json").write_bytes(b"")
    found = states(made)
    assert found["sequence_shards"].startswith("unreadable: ")
    assert found["raw_fasta"] == "current"
    assert {found[name] for name in ("codon_rscu", "kmer_freq_k6", "figure_rscu")} == {
        "without sequence_shards or raw_proteins"
    }
