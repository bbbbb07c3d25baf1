"""Downloads: the right bytes arrive whatever happens on the way.

Asked is always the same: what the user reads, how many bytes came twice, and whether it ends with the right bytes.
"""

import os
import socket
import time

import pytest

from opengenome_assets.intake.hub import download
from opengenome_assets.intake.hub.store import FetchError, RemoteFile
from opengenome_assets_tests.intake.hub.fetching import BIG, BYTES, FILES, HURRY, SIZE, SMALL, objects, right
from opengenome_assets_tests.intake.hub.hub_server import SEND_BUFFER, Fault

# Interruptions


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("cut", [0, 1, 65_535, 1_000_000, SIZE - 1])
@pytest.mark.long
def test_a_connection_that_ends_anywhere_is_taken_up_there(caller, server, cut, end):
    server.fail(BIG, Fault(cut=cut, end=end))
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert server.sent[BIG] <= SIZE + (SEND_BUFFER * 2 if end == "reset" else 0)
    assert "asking again in" in caller.log[0]
    assert caller.log[0].startswith(f"{BIG}: the connection ")


def test_what_was_received_is_kept_for_the_next_call(caller, server, store):
    server.fail(BIG, Fault(cut=1_000_000), times=4)
    error = caller.fails(BIG)
    assert error.passing
    assert str(error).startswith(f"{BIG}: the connection was closed after byte 1,000,000")
    assert "What was received is kept; run again to continue" in str(error)
    assert not objects(store)
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert (stored.fetched, stored.reused) == (SIZE - 1_000_000, 1_000_000)
    assert server.sent[BIG] == SIZE


def test_progress_renews_patience(caller, server):
    server.fail(BIG, *(Fault(cut=cut) for cut in range(100_000, SIZE, 100_000)))
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert server.sent[BIG] == SIZE


@pytest.mark.parametrize("fault", [Fault(cut=700_000, end="stall"), Fault(trickle=100)])
def test_a_stalled_and_a_trickling_connection_are_left(caller, server, fault):
    server.fail(BIG, fault)
    began = time.monotonic()
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert time.monotonic() - began < 5
    assert server.sent[BIG] <= SIZE + 2 * SEND_BUFFER
    assert "timed out" in caller.log[0] or "slower than 50,000 bytes/s" in caller.log[0]


@pytest.mark.long
def test_a_slow_link_is_borne(caller, server):
    server.fail(BIG, Fault(trickle=20_000))
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert stored.seconds > 2 * HURRY.timeout
    assert not caller.log


@pytest.mark.parametrize("path", [BIG, SMALL])
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_status_that_passes_is_asked_again(caller, server, path, status):
    where = "hub" if path == SMALL else "storage"
    server.fail(path, Fault(status=status, at=where))
    (stored,) = caller.fetch(path)
    assert right(stored)
    assert f"answered {status}" in caller.log[0]
    assert server.sent[path] == len(FILES[path])


@pytest.mark.long
@pytest.mark.parametrize(("header", "value"), [("Retry-After", "1"), ("RateLimit", '"resolvers";r=0;t=1')])
def test_the_server_says_how_long_to_wait(caller, server, header, value):
    server.fail(BIG, Fault(status=429, headers={header: value}, at="hub"))
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert stored.seconds > 1
    server.fail(SMALL, Fault(status=429, headers={header: value.replace("1", "3600")}, at="hub"))
    assert caller.fails(SMALL).passing


def test_a_date_to_wait_for(caller, server):
    server.fail(SMALL, Fault(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, at="hub"))
    assert right(caller.fetch(SMALL)[0])


def test_a_server_that_stays_unwilling_is_left(caller, server):
    server.fail(BIG, Fault(status=503), times=99)
    error = caller.fails(BIG)
    assert error.passing
    assert f"{BIG}: 127.0.0.1:" in str(error)
    assert "answered 503" in str(error)
    assert server.count(place="storage") == HURRY.attempts
    server.faults.clear()
    assert right(caller.fetch(BIG)[0])


def test_no_server(caller, store):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    file = RemoteFile("x.fa", 1, f"http://127.0.0.1:{port}/x", sha256="0" * 64)
    with pytest.raises(FetchError, match=rf"x\.fa: 127\.0\.0\.1:{port} does not answer.*Connection refused") as caught:
        store.fetch([file], patience=HURRY)
    assert caught.value.passing


# Wrong bytes


WRONG = b"?" + BYTES[1:]


def test_corruption_once_is_mended(caller, server):
    server.fail(BIG, Fault(content=WRONG))
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert stored.fetched == 2 * SIZE
    assert "the bytes received have sha256" in caller.log[0]


@pytest.mark.parametrize(
    ("path", "wrong", "words"),
    [
        (BIG, WRONG, "the bytes received have sha256"),
        (SMALL, b">a\nACGA\n", "the bytes received have git"),
        (BIG, BYTES[:-1], "the server has 1,499,999 bytes, expected 1,500,000"),
        (BIG, BYTES + b"x", "the server has 1,500,001 bytes, expected 1,500,000"),
        (SMALL, b">a\nACGTACGT\n", "the server has 12 bytes, expected 8"),
    ],
)
@pytest.mark.long
def test_what_stays_wrong_fails_by_name_and_is_never_published(caller, server, store, path, wrong, words):
    server.fail(path, Fault(content=wrong, at="hub" if path == SMALL else "storage"), times=2)
    error = caller.fails()
    assert str(error).startswith(f"{path}: wrong content twice")
    assert words in str(error)
    others = [each for each in caller.files() if each.identity != caller.files(path)[0].identity]
    assert all(store.find(each) for each in others)
    assert store.find(caller.files(path)[0]) is None
    assert right(caller.fetch(path)[0])


def test_a_partial_file_that_was_damaged_on_disk_is_found_out(caller, server, store):
    server.fail(BIG, Fault(cut=1_000_000), times=4)
    caller.fails(BIG)
    (partial,) = store.root.glob("partial/*")
    content = bytearray(partial.read_bytes())
    content[5] ^= 1
    partial.write_bytes(content)
    assert right(caller.fetch(BIG)[0])
    partial.write_bytes(BYTES + b"more")
    os.remove(caller.fetch(BIG)[0].path)
    assert right(caller.fetch(BIG)[0])


def test_a_server_without_ranges(caller, server):
    server.fail(BIG, Fault(cut=1_000_000), Fault(ignore_range=True))
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert server.sent[BIG] == SIZE + 1_000_000
    assert (stored.fetched, stored.reused) == (SIZE + 1_000_000, 0)


def test_a_server_without_ranges_that_always_breaks_is_left(caller, server):
    server.fail(BIG, Fault(cut=1_000_000, ignore_range=True), times=99)
    assert caller.fails(BIG).passing
    assert server.sent[BIG] <= (HURRY.attempts + 1) * 1_000_000


def test_large_files_come_in_several_ranges(caller, server, monkeypatch):
    monkeypatch.setattr(download, "LARGEST_RANGE", 400_000)
    server.fail(BIG, Fault(), Fault(cut=500_000))
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert server.sent[BIG] == SIZE
    ranges = [headers["range"] for place, headers in server.headers if place == "storage"]
    assert ranges == [
        "bytes=0-399999",
        "bytes=400000-799999",
        "bytes=500000-899999",
        "bytes=900000-1299999",
        "bytes=1300000-1499999",
    ]


def test_an_expired_redirect_is_asked_for_again(caller, server):
    server.fail(BIG, Fault(at="expired"))
    (stored,) = caller.fetch(BIG)
    assert right(stored)
    assert "answered 403" in caller.log[0]
    assert "s3cr3t" not in caller.log[0]
