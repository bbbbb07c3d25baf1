"""A local Hub with a few files, and a store to fetch them to."""

import pytest

from opengenome_assets.intake.hub.store import Store
from opengenome_assets_tests.intake.hub.fetching import FILES, Caller
from opengenome_assets_tests.intake.hub.hub_server import serving


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
