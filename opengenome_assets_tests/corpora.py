"""Materialising the real assets in homes of the tests' own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from dagster_shared.serdes import deserialize_value, serialize_value

from opengenome_assets import groups
from opengenome_assets.corpus.group import GROUP
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.definitions import build_defs
from opengenome_assets.engine.processes import Processes
from opengenome_assets.framework.group import GROUP_TAG
from opengenome_assets.framework.resources import HomeResource
from opengenome_assets.search.settings import SearchSettings
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Home

# In this process: what a worker does is the same, and starting one takes longer than most tests.
ENGINE = Processes(workers=1)


def settings(home: str, source: str = "sample", ks: Sequence[int] = (6, 7, 8), queries: str = "") -> Settings:
    """Return the settings of a corpus and of its search."""
    sections = CorpusSettings(source=source, ks=ks), SearchSettings(queries=queries)
    return Settings(home=home).with_sections(sections)


@cache
def members(ks: tuple[int, ...], queries: str, names: tuple[str, ...]) -> Sequence[Any]:
    """Return the assets and checks of the groups of these names, which are all.

    They depend on neither home nor source: a resource and a run's config give those.
    """
    defs = build_defs(settings("/home", ks=ks, queries=queries))
    return [*(defs.assets or []), *(defs.asset_checks or [])]


@dataclass
class Corpus:
    """A home, and a way to materialise assets in it."""

    home: Home
    source: str
    ks: tuple[int, ...] = (2, 6)
    queries: str = ""

    @property
    def settings(self) -> Settings:
        """The settings with which it is made."""
        return settings(self.home.uri, self.source, self.ks, self.queries)

    def materialize(
        self,
        selection: str = "tag:group=corpus,tag:group=search",
        *,
        ok: bool = True,
        instance: dg.DagsterInstance | None = None,
        resources: Mapping[str, Any] | None = None,
        **config: Mapping[str, Any],
    ) -> dg.ExecuteInProcessResult:
        """Materialise a selection, by default corpus and search, with ops' config; assert success, or failure."""
        overrides = {"home": HomeResource(uri=self.home.uri), "engine": ENGINE, **(resources or {})}
        config = {"raw_fasta": {"source": self.source}, **config}
        definitions = members(self.ks, self.queries, tuple(group.name for group in groups.GROUPS))
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
        return build_defs(self.settings).resolve_asset_graph()

    def stale(self, instance: dg.DagsterInstance) -> dict[str, list[str]]:
        """Return the assets of the corpus that Dagster says are missing or stale, and why; as its UI works it out."""
        graph = self.graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        assets = [key for key in graph.get_all_asset_keys() if graph.get(key).tags[GROUP_TAG] == GROUP.name]
        keys = [key for key in assets if resolver.get_status(key) != StaleStatus.FRESH]
        return {key.to_user_string(): [cause.reason for cause in resolver.get_stale_causes(key)] for key in keys}

    def metadata(self, result: "dg.ExecuteInProcessResult | Events", asset: str) -> dict[str, Any]:
        """Return what a run said of an asset."""
        events = [event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset)]
        return {
            name: value.records if isinstance(value, dg.TableMetadataValue) else value.value
            for name, value in events[-1].materialization.metadata.items()
        }

    def content(self, name: str) -> list[dict[str, Any]]:
        """Return a table's rows in an order that does not depend on how it was made."""
        return sorted(self.home.table(name).read().to_pylist(), key=repr)


@dataclass
class Events:
    """What a run said, in a form that another process can read.

    Parameters
    ----------
    text
        The run's events, as Dagster writes them.
    """

    text: str

    @classmethod
    def of(cls, result: dg.ExecuteInProcessResult) -> "Events":
        """Keep the events of a run."""
        return cls(serialize_value(result.all_events))

    @property
    def all_events(self) -> list[dg.DagsterEvent]:
        """Every event, oldest first."""
        return list(deserialize_value(self.text, list))

    def get_asset_materialization_events(self) -> list[dg.DagsterEvent]:
        """Return the events of assets that were made."""
        return [event for event in self.all_events if event.is_step_materialization]

    def get_asset_check_evaluations(self) -> list[dg.AssetCheckEvaluation]:
        """Return what the checks found."""
        kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
        return [event.asset_check_evaluation_data for event in self.all_events if event.event_type == kind]


@dataclass
class Sample:
    """The shipped sample, materialised, and what the run said."""

    corpus: Corpus
    result: Events


def keep_up(made: Corpus, **config: Any) -> dict[str, dict[str, Any]]:
    """Run the job upkeep and return what it says of each table."""
    job = build_defs(made.settings).resolve_job_def("upkeep")
    result = job.execute_in_process(run_config={"ops": {"keep_up": {"config": config}}})
    observed = [event.asset_observation_data.asset_observation for event in result.get_asset_observation_events()]
    return {
        each.asset_key.to_user_string(): {name: value.value for name, value in each.metadata.items()}
        for each in observed
    }


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
