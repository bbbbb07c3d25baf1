"""Materialising the real assets, on one embedded Spark session for all tests."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from pyspark.sql import SparkSession

from opengenome_assets.corpus import GROUP
from opengenome_assets.definitions import PRELOAD, build_defs
from opengenome_assets.engine.spark import Spark
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Tables


class KeptSpark(Spark):
    """A Spark that outlives its run: starting a session takes longer than most tests."""

    def stop(self) -> None:
        """Leave the session to the next run."""


@dataclass
class Corpus:
    """A home, and a way to materialise assets in it."""

    tables: Tables
    source: str
    ks: tuple[int, ...] = (2, 6)

    def materialize(
        self,
        selection: str = "*",
        *,
        ok: bool = True,
        instance: dg.DagsterInstance | None = None,
        resources: Mapping[str, Any] | None = None,
        **config: Mapping[str, Any],
    ) -> dg.ExecuteInProcessResult:
        """Materialise a selection with some ops' config; assert that it succeeds, or fails."""
        settings = Settings(home=self.tables.home, source=self.source, ks=self.ks)
        overrides = {"tables": self.tables, "spark": KeptSpark(master="local[2]", preload=PRELOAD), **(resources or {})}
        defs = build_defs(settings, resource_overrides=overrides)
        config = {"raw_fasta": {"source": self.source}, **config}
        definitions: Sequence[Any] = [*(defs.assets or []), *(defs.asset_checks or [])]
        chosen = dg.AssetSelection.from_coercible(selection.split(","))  # as the command line does
        keys = chosen.resolve(definitions)
        ops = {name: {"config": value} for name, value in config.items() if dg.AssetKey(name) in keys}
        result = dg.materialize(
            definitions,
            selection=chosen,
            resources=overrides,
            run_config={"ops": ops},
            raise_on_error=False,
            instance=instance,
        )
        assert result.success is ok
        return result

    def graph(self) -> BaseAssetGraph[Any]:
        """Return what Dagster knows of the assets."""
        settings = Settings(home=self.tables.home, source=self.source, ks=self.ks)
        return build_defs(settings).resolve_asset_graph()

    def stale(self, instance: dg.DagsterInstance) -> dict[str, list[str]]:
        """Return the assets of the corpus that Dagster says are missing or stale, and why; as its UI works it out."""
        graph = self.graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        assets = [key for key in graph.get_all_asset_keys() if graph.get(key).group_name == GROUP]
        keys = [key for key in assets if resolver.get_status(key) != StaleStatus.FRESH]
        return {key.to_user_string(): [cause.reason for cause in resolver.get_stale_causes(key)] for key in keys}

    def metadata(self, result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
        """Return what a run said of an asset."""
        events = [event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset)]
        return {name: value.value for name, value in events[-1].materialization.metadata.items()}

    def content(self, name: str) -> list[dict[str, Any]]:
        """Return a table's rows in an order that does not depend on how it was made."""
        return sorted(self.tables.read(name).to_pylist(), key=repr)


@pytest.fixture(scope="session", autouse=True)
def end_of_spark() -> Iterator[None]:
    """End the session after the last test."""
    yield
    if session := SparkSession.getActiveSession():
        session.stop()


@dataclass
class Sample:
    """The shipped sample, materialised, and the run that did it."""

    corpus: Corpus
    result: dg.ExecuteInProcessResult


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """Materialise everything from the shipped sample, once for all tests; to be read, not changed."""
    made = Corpus(Tables(home=str(tmp_path_factory.mktemp("sample"))), "sample", (6, 7, 8))
    with dg.instance_for_test() as instance:
        yield Sample(made, made.materialize(instance=instance))


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., Corpus]:
    """Make a corpus: a home of its own, and a folder of FASTA files given as text by their path."""

    def make(files: Mapping[str, str | bytes] | None = None, **options: Any) -> Corpus:
        if files is None:
            return Corpus(Tables(home=str(tmp_path / "home")), "sample", **options)
        write_files(tmp_path / "fasta", files)
        return Corpus(Tables(home=str(tmp_path / "home")), str(tmp_path / "fasta"), **options)

    return make


def write_files(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def failure(result: dg.ExecuteInProcessResult) -> str:
    """Return everything a failed run says of its failures."""
    return "\n".join(
        str(event.event_specific_data.error_display_string if event.is_step_failure else "")
        + str(getattr(event.event_specific_data, "user_failure_data", "") or "")
        for event in result.all_events
        if event.is_failure
    )
