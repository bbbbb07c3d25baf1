"""The inbox: bytes are kept once, verified, bounded, and resumed."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.service.jobs.inbox import Inbox, OffsetError, TooLargeError, UploadError

CONTENT = b"ACGT" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_a_file_is_kept_once_under_its_checksum(tmp_path):
    inbox = Inbox(tmp_path / "inbox")
    (tmp_path / "a").write_bytes(CONTENT)
    blob = inbox.keep(tmp_path / "a")
    assert (blob.sha256, blob.bytes, blob.path.read_bytes()) == (SHA256, len(CONTENT), CONTENT)
    assert inbox.keep(tmp_path / "a") == inbox.find(SHA256) == blob
    assert [path.name for path in inbox.folder.iterdir()] == [SHA256]


def test_a_file_that_is_too_large_leaves_nothing(tmp_path):
    inbox = Inbox(tmp_path / "inbox")
    (tmp_path / "a").write_bytes(CONTENT)
    with pytest.raises(TooLargeError, match=r"expected a file of at most 3,999 bytes, found more. Compress it"):
        inbox.keep(tmp_path / "a", most=3999)
    assert list(inbox.folder.iterdir()) == []


@given(cuts=st.lists(st.integers(0, len(CONTENT)), max_size=5))
def test_a_file_that_arrives_in_pieces_is_the_same(tmp_path_factory, cuts):
    inbox = Inbox(tmp_path_factory.mktemp("inbox"))
    places = [*sorted(cuts), len(CONTENT)]
    for first, last in zip([0, *places[:-1]], places, strict=True):
        assert inbox.length(SHA256) == first
        with inbox.resuming(SHA256, first) as receiver:
            receiver.write(CONTENT[first:last])
    with inbox.resuming(SHA256, len(CONTENT)) as receiver:
        assert receiver.finish().path.read_bytes() == CONTENT
    assert inbox.length(SHA256) == len(CONTENT)


def test_a_sender_that_goes_on_elsewhere_is_told_where(tmp_path):
    inbox = Inbox(tmp_path / "inbox")
    with inbox.resuming(SHA256, 0) as receiver:
        receiver.write(CONTENT[:10])
        with pytest.raises(OffsetError, match="is being received from another sender"), inbox.resuming(SHA256, 0):
            pass
    with pytest.raises(OffsetError, match="expected to go on at byte 10, found 7") as error, inbox.resuming(SHA256, 7):
        pass
    assert error.value.length == 10


def test_bytes_with_another_checksum_are_dropped(tmp_path):
    inbox = Inbox(tmp_path / "inbox")
    with inbox.resuming(SHA256, 0) as receiver:
        receiver.write(b"other")
        with pytest.raises(UploadError, match=f"expected bytes with the SHA-256 {SHA256}, found .* Send them again"):
            receiver.finish()
    assert inbox.length(SHA256) == 0


@pytest.mark.parametrize("name", ["", "../" + "a" * 61, SHA256.upper(), SHA256 + "0"])
def test_a_name_that_is_no_checksum_is_refused(tmp_path: Path, name: str) -> None:
    inbox = Inbox(tmp_path / "inbox")
    assert inbox.find(name) is None
    with pytest.raises(UploadError, match="expected a SHA-256 of 64 hexadecimal digits"), inbox.resuming(name, 0):
        pass
