"""The Hub: what specifications name, what is asked of the server, and what the user reads when that fails.

The server is local, the client is `huggingface_hub`'s own.
"""

import hashlib
import json
import os
import subprocess
import sys
import time

import pytest
from huggingface_hub import HfApi, RepoFile

from opengenome_assets.intake.hub.listing import Hub, HubError, Specification, matches
from opengenome_assets_tests.intake.hub.hub_server import REPO, TOKEN, Fault, git_id, serving

FILES = {
    "README.md": b"# genomes",
    "fasta/organelles/mito.fasta.gz": b"m" * 5000,
    "fasta/organelles/plastid.fasta.gz": b"p" * 6000,
    "fasta/organelles/notes.txt": b"notes",
    "fasta/organelles/old/mito.fasta.gz": b"o" * 100,
    "fasta/phages/all phages.fasta": b">a\nACGT\n",
}


@pytest.fixture
def server():
    with serving() as state:
        state.commit(FILES)
        yield state


@pytest.fixture
def hub(server):
    return Hub(endpoint=server.hub, token=None, seconds=10)


def spec(path="", revision=None):
    return Specification(REPO, revision, path)


def paths(listing):
    return [file.path for file in listing.files]


# Specifications


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("hf://datasets/a/b", Specification("a/b")),
        ("hf://datasets/a/b/", Specification("a/b")),
        ("hf://datasets/a/b@v1/x/*.gz", Specification("a/b", "v1", "x/*.gz")),
        ("hf://datasets/a/b@feature%2Fnew/x", Specification("a/b", "feature/new", "x")),
        ("hf://datasets/a/b@refs/pr/3/x", Specification("a/b", "refs/pr/3", "x")),
    ],
)
def test_specifications_are_parsed_and_written_again(text, parsed):
    assert Specification.parse(text) == parsed
    assert Specification.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "text", ["hf://datasets/a", "hf://a/b/x.fa", "hf://datasets/a/b@/x", "hf://models/a/b", "https://example.org/a/b"]
)
def test_other_specifications_are_refused_with_an_example(text):
    with pytest.raises(HubError, match=r"arcinstitute/opengenome2@main/fasta") as caught:
        Specification.parse(text)
    assert text in str(caught.value)
    assert not caught.value.passing


@pytest.mark.parametrize(
    ("path", "folder", "pattern"),
    [
        ("", "", ()),
        ("a/b.fa", "a/b.fa", ()),
        ("a/*.fa", "a", ("*.fa",)),
        ("a/**/b?.fa", "a", ("**", "b?.fa")),
        ("*", "", ("*",)),
        ("a/[xy]/b", "a", ("[xy]", "b")),
    ],
)
def test_only_the_folder_before_the_first_wildcard_is_needed(path, folder, pattern):
    assert (spec(path).folder, spec(path).pattern) == (folder, pattern)


@pytest.mark.parametrize(
    ("path", "pattern", "match"),
    [
        ("a.fa", "*", True),
        ("d/a.fa", "*", False),
        ("d/a.fa", "**/*", True),
        ("a.fa", "**/*", True),
        ("d/e/a.fa", "**", True),
        ("d/e/a.fa", "*/*.fa", False),
        ("d/e/a.fa", "d/**/a.fa", True),
        ("d/a.fa", "d/**/a.fa", True),
        ("d/A.fa", "d/a.fa", False),
    ],
)
def test_patterns(path, pattern, match):
    assert matches(path.split("/"), tuple(pattern.split("/"))) is match


# Listings


def test_a_listing_knows_every_content_before_any_download(server, hub):
    listing = hub.list_files(spec("fasta/organelles/*"))
    assert listing.commit == server.branches["main"]
    mito, notes, plastid = listing.files
    assert (mito.path, mito.size) == ("fasta/organelles/mito.fasta.gz", 5000)
    assert mito.sha256 == hashlib.sha256(b"m" * 5000).hexdigest()
    assert mito.blob_id is None
    assert mito.url == f"{server.hub}/datasets/{REPO}/resolve/{listing.commit}/fasta/organelles/mito.fasta.gz"
    assert (notes.sha256, notes.blob_id) == (None, git_id(b"notes"))
    assert plastid.size == 6000
    assert server.count("/datasets/") == 0


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("", 6),
        ("*", 1),
        ("**", 6),
        ("fasta", 5),
        ("fasta/organelles", 4),
        ("fasta/organelles/*.gz", 2),
        ("fasta/*/*.gz", 2),
        ("fasta/**/*.gz", 3),
        ("fasta/organelles/mito.fasta.gz", 1),
        ("fasta/phages/all phages.fasta", 1),
    ],
)
def test_files_folders_and_patterns(hub, path, count):
    assert len(hub.list_files(spec(path)).files) == count


def test_the_library_itself_lists_the_same(server, hub):
    tree = HfApi(endpoint=server.hub, token=False).list_repo_tree(REPO, recursive=True, repo_type="dataset")
    theirs = {
        (entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None, None if entry.lfs else entry.blob_id)
        for entry in tree
        if isinstance(entry, RepoFile)
    }
    assert {(f.path, f.size, f.sha256, f.blob_id) for f in hub.list_files(spec()).files} == theirs


def test_only_the_folder_needed_is_listed(server, hub):
    server.page = 4  # what the folder itself holds; one more lies below it
    hub.list_files(spec("fasta/organelles/*"))
    assert [path for _, _, path in server.requests] == [
        f"/api/datasets/{REPO}",
        f"/api/datasets/{REPO}/tree/{server.branches['main']}/fasta/organelles",
    ]


def test_a_pinned_listing_stays_when_the_branch_moves(server, hub):
    first = server.branches["main"]
    server.commit({"fasta/new.fasta": b">n\nA\n"})
    assert paths(hub.list_files(spec("fasta/phages", first))) == ["fasta/phages/all phages.fasta"]
    assert paths(hub.list_files(spec("fasta"))) == ["fasta/new.fasta"]
    server.commit({"x.fasta": b"x"}, branch="feature/new")
    assert paths(hub.list_files(spec("", "feature/new"))) == ["x.fasta"]


@pytest.mark.long
def test_all_pages_are_read_and_the_token_follows_no_link_elsewhere(server):
    server.commit({f"many/{n:05}.fasta.gz": b"%d" % n for n in range(10_000)})
    began = time.monotonic()
    listing = Hub(endpoint=server.hub, token=TOKEN).list_files(spec("many/*"))
    assert paths(listing) == [f"many/{n:05}.fasta.gz" for n in range(10_000)]
    assert server.count() == 11
    assert time.monotonic() - began < 10
    assert all(headers["authorization"] == f"Bearer {TOKEN}" for _, headers in server.headers)


# Following revisions


def test_a_tick_costs_one_request_and_a_commit_elsewhere_a_second(server, hub):
    organelles = spec("fasta/organelles/*")
    before = hub.resolve(organelles)
    fingerprint = hub.fingerprint(organelles.at(before))
    server.requests.clear()

    assert hub.resolve(organelles) == before
    assert server.count() == 1

    server.commit(FILES | {"README.md": b"# new words", "fasta/phages/b.fasta": b">b\nA\n"})
    after = hub.resolve(organelles)
    assert after != before
    assert hub.fingerprint(organelles.at(after)) == fingerprint
    assert server.count() == 3

    server.commit(FILES | {"fasta/organelles/mito.fasta.gz": b"new"})
    assert hub.fingerprint(organelles.at(hub.resolve(organelles))) != fingerprint


def test_a_fingerprint_of_a_file_and_of_all(server, hub):
    file = spec("fasta/organelles/mito.fasta.gz")
    before = hub.fingerprint(file), hub.fingerprint(spec())
    server.commit(FILES | {"fasta/organelles/plastid.fasta.gz": b"new"})
    assert hub.fingerprint(file) == before[0]
    assert hub.fingerprint(spec()) != before[1]


# What the user reads


def says(hub, specification, *words, passing=False):
    """Listing fails with these words, and never with the token."""
    with pytest.raises(HubError) as caught:
        hub.list_files(specification)
    for word in (*words, REPO):
        assert word in str(caught.value)
    assert caught.value.passing is passing
    assert TOKEN not in str(caught.value)


def test_what_does_not_exist(server, hub):
    says(hub, spec("fasta/nothing/*"), "has no 'fasta/nothing'", f"{server.hub}/datasets/{REPO}/tree/")
    says(hub, spec("fasta/nothing.fa"), "has no 'fasta/nothing.fa'")
    says(hub, spec("fasta", "v9"), "no revision 'v9'", f"{server.hub}/datasets/{REPO}/tree/main")
    says(hub, spec("fasta", "0" * 40), f"no revision '{'0' * 40}'")
    says(hub, spec("fasta/organelles/*.zip"), "no file matches", "fasta/organelles/mito.fasta.gz")
    with pytest.raises(HubError, match=r"no dataset oxford/other, or it is private.*HF_TOKEN"):
        hub.list_files(Specification("oxford/other"))


def test_what_may_not_be_read(server, hub):
    server.private = True
    says(hub, spec(), "or it is private", "HF_TOKEN")
    assert Hub(endpoint=server.hub, token=TOKEN).list_files(spec()).files
    says(Hub(endpoint=server.hub, token="hf_wrong"), spec(), "HF_TOKEN was refused", f"{server.hub}/settings/tokens")
    gate = {"code": "GatedRepo", "message": f"{TOKEN} may not"}  # a server that repeats what it was sent
    server.fail("api", Fault(status=403, headers=gate, at="hub"))
    says(Hub(endpoint=server.hub, token=TOKEN), spec(), "is gated. Accept its conditions at", "[hidden] may not")


def test_what_passes_is_asked_again(server, hub):
    for status in (408, 429, 500, 502, 503, 504):
        server.fail("api", Fault(status=status, headers={"Retry-After": "0"}, at="hub"))
        assert hub.list_files(spec()).files


@pytest.mark.long
def test_what_does_not_pass_in_time_ends(server):
    hub = Hub(endpoint=server.hub, token=None, seconds=3)
    server.fail("api", Fault(status=503, headers={"Retry-After": "0"}, at="hub"), times=3)
    says(hub, spec(), "answered 503", passing=True)
    server.fail("api", Fault(status=429, headers={"RateLimit": '"api";r=0;t=250'}, at="hub"))
    began = time.monotonic()
    says(hub, spec(), "answered 429. Try again in 250 s", passing=True)
    server.fail("api", Fault(end="stall", at="hub"), times=9)
    says(hub, spec(), "was not reached", "Check the network", passing=True)
    assert time.monotonic() - began < 5


def test_a_listing_that_takes_too_long_ends(server):
    says(Hub(endpoint=server.hub, token=None, seconds=0), spec(), "did not finish within 0 s", passing=True)


@pytest.mark.long
def test_no_network():
    began = time.monotonic()
    says(
        Hub(endpoint="http://127.0.0.1:9", token=TOKEN, seconds=2),
        spec(),
        "http://127.0.0.1:9 was not reached",
        "HTTPS_PROXY",
        "HF_ENDPOINT",
        "name a folder of this machine",
        passing=True,
    )
    assert time.monotonic() - began < 4


def test_something_else_than_the_hub(server, hub):
    for content in (b"<html>Log in to the guests' network</html>", json.dumps({"id": REPO}).encode()):
        server.fail("api", Fault(content=content, at="hub"))
        says(hub, spec(), "not the Hub's", "HF_ENDPOINT")


# The environment


@pytest.mark.long
def test_settings_come_from_the_environment_as_the_library_reads_them(server):
    program = (
        "from opengenome_assets.intake.hub.listing import Hub, Specification\n"
        "hub = Hub()\n"
        f"print(len(hub.list_files(Specification('{REPO}')).files), hub, hub.access)"
    )
    server.private = True
    environment = {**os.environ, "HF_ENDPOINT": server.hub + "/", "HF_TOKEN": f" {TOKEN}\n"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("6 ")
    assert TOKEN not in run.stdout + run.stderr
    offline = {**environment, "HF_HUB_OFFLINE": "1"}
    run = subprocess.run([sys.executable, "-c", program], env=offline, capture_output=True, text=True, check=False)
    assert "HF_HUB_OFFLINE is set" in run.stderr


def test_a_token_is_read_from_the_file_that_is_named(server, monkeypatch, tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    server.private = True
    assert len(Hub(endpoint=server.hub).list_files(spec()).files) == 6
    (tmp_path / "token").write_text("hf_two\nlines")
    with pytest.raises(HubError, match=r"token \(HF_TOKEN_PATH\) holds characters") as caught:
        Hub(endpoint=server.hub)
    assert "lines" not in str(caught.value)


def test_a_token_file_that_nobody_named_is_not_read(server, monkeypatch, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    server.private = True
    says(Hub(endpoint=server.hub), spec(), "HF_TOKEN")
    assert all("authorization" not in headers for _, headers in server.headers)


def test_a_token_that_cannot_be_one_is_not_repeated(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_two\nlines")
    with pytest.raises(HubError, match="HF_TOKEN holds characters") as caught:
        Hub()
    assert "hf_two" not in str(caught.value)
