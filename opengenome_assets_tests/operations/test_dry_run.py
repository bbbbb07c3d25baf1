"""The dry run: its list of files, that it changes nothing, and its messages for missing files."""

import hashlib
import json
import os
import shutil
from collections import namedtuple

import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets.intake.hub.listing import Hub
from opengenome_assets.intake.hub.store import Store
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import list_source
from opengenome_assets_tests.intake.hub.hub_server import REPO, TOKEN, serving
from opengenome_assets_tests.processes import typed

SOURCE = f"hf://datasets/{REPO}/fasta"
BIG, SMALL = b">a\n" + b"ACGT\n" * 300, b">b\nGG\n"
FILES = {"README.md": b"#", "fasta/moss/big.fasta": BIG, "fasta/moss/small.fa": SMALL, "fasta/notes.txt": b"text"}


@pytest.fixture
def hub(monkeypatch):
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.hub)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        server.commit(FILES)
        yield server


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("OPENGENOME_HOME", str(home))
    monkeypatch.setenv("OPENGENOME_SOURCE", SOURCE)
    return home


def run(*arguments):
    return CliRunner().invoke(main, ["source", *arguments])


def fetch(home, name):
    (file,) = [file.remote for file in list_source(SOURCE, FASTA).files if file.path.endswith(name)]
    Store(home / "raw").fetch([file], access=Hub().access)


def test_a_dry_run_lists_the_files_of_the_setting_and_what_would_be_fetched(hub, home):
    (commit,) = hub.commits
    output = run().output
    sha256 = hashlib.sha256(BIG).hexdigest()
    lines = [line.split() for line in output.splitlines()]
    assert output.startswith(f"{SOURCE}\n")
    assert ["moss", "fasta/moss/big.fasta", "1.5", "kB", sha256, "to", "fetch"] in lines
    assert ["moss", "fasta/moss/small.fa", "6", "B", "to", "fetch"] in lines  # Git's id is not of the bytes alone
    assert [f"{REPO}/fasta/notes.txt"] in lines
    assert ["files", "2,", "1.5", "kB"] in lines
    assert ["commit", commit] in lines
    assert ["to", "fetch", "1.5", "kB"] in lines
    assert not home.exists()
    assert hub.count("/datasets") == 0
    assert len(hub.requests) == 3


def test_what_was_fetched_is_told_from_what_would_be(hub, home):
    fetch(home, "small.fa")
    partial = home / "raw" / "partial" / f"sha256-{hashlib.sha256(BIG).hexdigest()}"
    partial.write_bytes(BIG[:500])
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in home.rglob("*"))
    answer = json.loads(run("--format", "json").output)
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in home.rglob("*")) == before
    big, small = answer["files"]
    assert (big["state"], small["state"]) == ("to fetch", "stored")
    assert small["sha256"] == hashlib.sha256(SMALL).hexdigest()
    assert answer["bytes"] == len(BIG) + len(SMALL)
    assert answer["bytes_to_fetch"] == len(BIG) - 500
    assert answer["bytes_free"] == pytest.approx(shutil.disk_usage(home).free, rel=0.1)
    assert answer["left_out"] == [f"{REPO}/fasta/notes.txt"]
    assert (big["revision"], answer["commits"]) == (next(iter(hub.commits)), list(hub.commits))


def test_local_files_need_no_network_and_no_room(home, tmp_path):
    (tmp_path / "own.fa").write_bytes(SMALL)
    answer = json.loads(run(str(tmp_path), "--format", "json").output)
    assert [(file["path"], file["bytes"], file["state"], file["sha256"]) for file in answer["files"]] == [
        ("own.fa", len(SMALL), "local", None)
    ]
    assert (answer["bytes_to_fetch"], answer["bytes_free"], answer["commits"]) == (0, None, [])
    assert "to fetch" not in run(str(tmp_path)).output


@pytest.mark.long
@pytest.mark.parametrize(
    ("source", "settings", "said"),
    [
        (f"{SOURCE}/absent", {}, f"/fasta/absent: {REPO} has no 'fasta/absent' at that revision."),
        (SOURCE, {"HF_ENDPOINT": "http://127.0.0.1:9"}, "without network, name a folder of this machine as source"),
        (SOURCE, {"HF_TOKEN": TOKEN[:-1]}, "HF_TOKEN was refused. Make a new token"),
        (SOURCE, {"OPENGENOME_KS": "six"}, "Error: OPENGENOME_KS is 'six'"),
        ("/no/such/folder", {}, "Error: /no/such/folder: no such file or folder"),
    ],
)
def test_what_a_run_could_not_have_is_a_sentence_and_status_1(hub, home, monkeypatch, source, settings, said):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    result = run(source)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert said in result.output
    assert TOKEN[:-1] not in result.output


def test_where_the_home_is_an_object_store_files_are_kept_in_the_current_folder(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENGENOME_HOME", "s3://bucket")
    monkeypatch.chdir(tmp_path)
    result = run(SOURCE, "--format", "json")
    assert json.loads(result.output)["store"] == str(tmp_path / "data" / "raw")


def test_a_disk_that_is_too_small_is_said_after_the_list(hub, home, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2000, 1000, 1000))
    result = run()
    assert result.exit_code == 1
    assert "fasta/moss/big.fasta" in result.output
    assert f"Error: {len(BIG) + len(SMALL):,} bytes are to be fetched to {home}/raw, whose disk has 1,000 free" in (
        result.output
    )


@pytest.mark.slow
def test_it_is_a_command(hub, tmp_path):
    printed = typed("opengenome source", tmp_path / "home", OPENGENOME_SOURCE=SOURCE, HF_ENDPOINT=hub.hub)
    assert "fasta/moss/big.fasta" in printed
    assert not os.listdir(tmp_path)
