"""A local Hub with a few files, and a store to fetch them to."""

import pytest

from opengenome_assets.resources.store import Store
from opengenome_assets_tests.resources.fetching import FILES, Caller
from opengenome_assets_tests.resources.hub_server import serving


@pytest.fixture
def server():
    with serving() as state:
        state.commit(FILES)
        yield state


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "raw")


@pytest.fixture
def caller(server, store):
    return Caller(server, store)
