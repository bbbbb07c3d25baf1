"""Fetching files of the local Hub as the assets do, for the tests of what can go wrong on the way."""

import hashlib

import pytest

from opengenome_assets.intake.hub.listing import Hub, Specification
from opengenome_assets.intake.hub.request import Patience
from opengenome_assets.intake.hub.store import FetchError
from opengenome_assets_tests.intake.hub.hub_server import REPO, TOKEN

BIG = "fasta/big.fasta.gz"
SMALL = "fasta/small.fa"
SIZE = 1_500_000
BYTES = bytes(range(251)) * (SIZE // 251) + b"x" * (SIZE % 251)
FILES = {BIG: BYTES, SMALL: b">a\nACGT\n", "fasta/copy.fasta.gz": BYTES, "fasta/empty.fasta": b""}
HURRY = Patience(timeout=0.3, min_rate=50_000, attempts=4, first_wait=0.02, longest_wait=0.1, longest_asked=2)


class Caller:
    """Fetches files of the server as the assets do, and keeps what was logged."""

    def __init__(self, server, store, token=None):
        self.server, self.store, self.log = server, store, []
        self.hub = Hub(endpoint=server.hub, token=token)

    def files(self, *paths):
        listing = self.hub.list_files(Specification(REPO))
        return [file for file in listing.files if file.path in (paths or FILES)]

    def fetch(self, *paths, **options):
        options = {"patience": HURRY, "access": self.hub.access, **options}
        return self.store.fetch(self.files(*paths), log=self.log.append, **options)

    def fails(self, *paths, **options):
        with pytest.raises(FetchError) as caught:
            self.fetch(*paths, **options)
        assert TOKEN not in str(caught.value) + repr(caught.value)
        return caught.value


def right(stored):
    """The bytes on disk are those of the commit, and the names say so."""
    content = stored.path.read_bytes()
    assert content == FILES[stored.file.path]
    assert stored.sha256 == stored.path.name == hashlib.sha256(content).hexdigest()
    return True


def objects(store):
    return sorted(str(path.relative_to(store.root)) for path in store.root.glob("objects/*/*/*"))
