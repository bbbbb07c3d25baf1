"""The store: what is there is never fetched again, by whomever; rights, disks, and processes that end or meet."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from opengenome_assets.intake.hub import store as store_module
from opengenome_assets.intake.hub.listing import Specification
from opengenome_assets.intake.hub.request import Access
from opengenome_assets.intake.hub.store import FetchError, RemoteFile
from opengenome_assets_tests.intake.hub.fetching import BIG, BYTES, FILES, SIZE, SMALL, Caller, objects, right
from opengenome_assets_tests.intake.hub.hub_server import REPO, TOKEN, Fault

# What is there


def test_files_are_fetched_once_and_known_by_their_content(caller, store, server):
    stored = {each.file.path: each for each in caller.fetch()}
    assert set(stored) == set(FILES)
    assert all(right(each) for each in stored.values())
    assert stored[BIG].path == stored["fasta/copy.fasta.gz"].path
    assert sum(each.fetched for each in stored.values()) == server.sent.total() == SIZE + 8
    assert not list((store.root / "partial").iterdir())

    server.requests.clear()
    again = caller.fetch()
    assert server.count("/datasets/") == server.count(place="storage") == 0
    assert [(each.fetched, each.reused) for each in again] == [(0, each.file.size) for each in again]
    assert all(right(each) for each in again)

    # A renamed file, in another commit.
    server.commit({"renamed.fasta.gz": BYTES})
    assert store.fetch(caller.hub.list_files(Specification(REPO)).files)[0].fetched == 0


def test_a_plan_says_what_is_there_and_changes_nothing(caller, store, server):
    plan = store.plan(caller.files())
    assert (len(plan.stored), len(plan.missing), plan.to_fetch) == (0, 3, SIZE + 8)
    assert not store.root.exists()
    caller.fetch(SMALL)
    server.fail(BIG, Fault(cut=1_000_000), times=9)
    caller.fails(BIG)
    plan = store.plan(caller.files())
    assert [each.file.path for each in plan.stored] == [SMALL]
    assert plan.to_fetch == SIZE - 1_000_000


def test_a_git_blob_is_verified_and_has_a_sha256_ever_after(caller, store, server):
    (first,) = caller.fetch(SMALL)
    assert right(first)
    assert first.file.sha256 is None
    blob_id, sha256 = first.file.blob_id, first.sha256
    assert objects(store) == [f"objects/git/{blob_id[:2]}/{blob_id}", f"objects/sha256/{sha256[:2]}/{sha256}"]
    (again,) = caller.fetch(SMALL)
    assert (again.sha256, again.path, again.fetched) == (first.sha256, first.path, 0)


def test_an_object_that_was_cut_is_fetched_again(caller):
    (stored,) = caller.fetch(BIG)
    stored.path.chmod(0o644)
    os.truncate(stored.path, 5)
    (again,) = caller.fetch(BIG)
    assert right(again)
    assert again.fetched == SIZE


def test_an_identity_that_is_no_digest_never_becomes_a_path():
    for identity in ("../../etc/passwd", "", "A" * 64, "0" * 63):
        with pytest.raises(ValueError, match="expected a SHA-256 or a git blob id"):
            RemoteFile("x", 1, "http://localhost/x", sha256=identity)


# Rights


def test_the_token_goes_to_the_hub_and_nowhere_else(server, store):
    server.private = True
    caller = Caller(server, store, TOKEN)
    server.fail(BIG, Fault(status=500), Fault(cut=1_000_000))
    assert all(right(stored) for stored in caller.fetch())
    seen = {(place, "authorization" in headers) for place, headers in server.headers}
    assert seen == {("hub", True), ("storage", False)}
    assert TOKEN not in "".join(caller.log)
    assert TOKEN not in repr((caller.hub, caller.hub.access))


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_gated_dataset(server, store, token):
    server.gated = True
    caller = Caller(server, store, token)
    error = caller.fails()
    assert not error.passing
    assert f"Access to dataset {REPO} is restricted" in str(error)
    assert "accept its conditions, and set HF_TOKEN" in str(error)
    assert server.count("/datasets/") <= 4
    server.gated = False
    assert all(right(stored) for stored in caller.fetch())


def test_a_server_that_repeats_the_token(server, store):
    headers = {"X-Error-Message": f"{TOKEN} may not read this"}
    server.fail(SMALL, Fault(status=403, headers=headers, at="hub"))
    assert "[hidden] may not read this" in str(Caller(server, store, TOKEN).fails(SMALL))


def test_a_file_that_is_gone_keeps_no_other_from_coming(caller, server, store):
    server.fail(BIG, Fault(status=404, at="hub"))
    error = caller.fails(workers=1)
    assert "answered 404" in str(error)
    assert "list the files again" in str(error)
    assert not error.passing
    assert [file.path for file in store.plan(caller.files(BIG, SMALL)).missing] == [BIG]


# Disks and processes


def test_a_disk_that_is_too_small_is_told_before_anything_is_asked(store, server):
    file = RemoteFile("genome.fa", 10**18, server.hub, sha256="0" * 64)
    with pytest.raises(
        FetchError, match=r"1 files to fetch need 1,000,000,000,000,000,000 bytes, but the disk of .*Free"
    ):
        store.fetch([file])
    assert server.count() == 0


def test_a_disk_that_fills_up(caller, server, store):
    (file,) = caller.files(BIG)
    partial = store.root / "partial" / file.identity
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    error = caller.fails(BIG)
    assert f"{BIG}: cannot be written below {store.root} (No space left on device)" in str(error)
    assert not error.passing
    partial.unlink()
    assert right(caller.fetch(BIG)[0])


PROGRAM = textwrap.dedent(f"""
    import sys
    from opengenome_assets.intake.hub.listing import Hub, Specification
    from opengenome_assets.intake.hub.store import Store
    hub = Hub(endpoint=sys.argv[1], token=None)
    files = hub.list_files(Specification("{REPO}", None, "{BIG}")).files
    (stored,) = Store(sys.argv[2]).fetch(files, log=lambda line: print(line, flush=True))
    print(stored.fetched, stored.reused, stored.path)
""")


def start(server, store):
    command = [sys.executable, "-c", PROGRAM, server.hub, str(store.root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_bytes(path, size):
    deadline = time.monotonic() + 20
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.long
def test_sigkill_in_the_middle_of_a_file(caller, server, store):
    server.fail(BIG, Fault(cut=1_000_000, end="stall"))
    process = start(server, store)
    partial = store.root / "partial" / caller.files(BIG)[0].identity
    wait_for_bytes(partial, 1_000_000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not objects(store)
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert server.sent[BIG] == SIZE


@pytest.mark.slow
def test_two_processes_fetch_a_file_once(caller, server, store):
    server.fail(BIG, Fault(trickle=10_000))
    processes = [start(server, store) for _ in range(2)]
    outputs = sorted(process.communicate(timeout=30)[0].splitlines() for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert server.sent[BIG] == SIZE
    fetched = sorted(int(output[-1].split()[0]) for output in outputs)
    assert fetched == [0, SIZE]
    assert any("another process is fetching it; waiting" in line for output in outputs for line in output)
    assert not list((store.root / "partial").iterdir())
    assert right(caller.fetch(BIG)[0])


def test_a_partial_file_that_vanishes_while_it_is_locked(caller, store, monkeypatch):
    (file,) = caller.files(BIG)
    partial = store.root / "partial" / file.identity
    flock, calls = fcntl.flock, []

    def flock_late(*given):
        calls.append(given)
        flock(*given)
        if len(calls) == 1:  # as another process does that found the content wrong
            partial.unlink()

    monkeypatch.setattr(fcntl, "flock", flock_late)
    assert right(caller.fetch(BIG)[0])
    assert len(calls) == 2


def test_files_come_side_by_side_but_no_more_than_asked(caller, server):
    server.commit({f"{n}.fasta.gz": bytes([n]) * 40_000 for n in range(6)})
    for n in range(6):
        server.fail(f"{n}.fasta.gz", Fault(trickle=4_000))
    caller.store.fetch(caller.hub.list_files(Specification(REPO)).files, workers=3)
    assert server.most_at_once in (3, 4)  # the server notices an end a moment later


@pytest.mark.slow
def test_a_call_that_is_interrupted_ends_and_keeps_what_came(caller, server, store):
    server.fail(BIG, Fault(trickle=10_000))
    process = start(server, store)
    partial = store.root / "partial" / caller.files(BIG)[0].identity
    wait_for_bytes(partial, 100_000)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode != 0
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert 100_000 <= stored.reused < SIZE


def test_progress_is_told(caller, server, monkeypatch):
    monkeypatch.setattr(store_module, "REPORT_SECONDS", 0.1)
    server.fail(BIG, Fault(trickle=50_000))
    caller.fetch(BIG)
    assert re.fullmatch(r"[\d.]+ of 0\.002 GB still to come, [\d.]+ MB/s", caller.log[0])


def test_all_files_that_failed_are_named(caller, server):
    for path in (BIG, SMALL):
        server.fail(path, Fault(status=404, at="hub"))
    error = caller.fails(BIG, SMALL)
    assert str(error).startswith("2 files could not be fetched:\n")
    assert f"\n{BIG}: " in str(error)
    assert f"\n{SMALL}: " in str(error)


def test_a_store_that_cannot_be_made(caller, store):
    store.root.write_text("a file")
    assert f"{store.root}: cannot be used as store" in str(caller.fails(BIG))


def test_access_hides_its_headers():
    assert TOKEN not in repr(Access({"Authorization": f"Bearer {TOKEN}"}))
