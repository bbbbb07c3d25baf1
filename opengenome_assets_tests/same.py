"""Whether a cluster has made the tables that a run on this machine makes."""

from pathlib import Path

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.processes import typed


def made_here(home: Path, *assets: str, **settings: str) -> Home:
    """Materialise some assets, or all, on this machine and without Spark."""
    select = " or ".join(f"key:{name}" for name in assets) or "*"
    module = "--module-name opengenome_assets.definitions"
    typed(f"dagster asset materialize --select '{select}' {module}", home, seconds=900, **settings)
    return Home(str(home))


def assert_same(cluster: Home, local: Home, *tables: str) -> None:
    """Assert that some tables, or all, are those of a local run bit for bit, but for the column of files' places."""
    if not tables:
        assert cluster.names() == local.names()
    for name in tables or local.names():
        ours, theirs = cluster.table(name).read(), local.table(name).read()
        if "uri" in ours.column_names:
            ours, theirs = (each.drop_columns(["uri"]) for each in (ours, theirs))
        assert ours.equals(theirs, check_metadata=True), name
