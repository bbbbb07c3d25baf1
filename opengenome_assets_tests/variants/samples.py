"""Materialising the group in homes of the tests' own, alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from opengenome_assets.framework.resources import HomeResource
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.definitions import build
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets_tests.corpora import ENGINE


@dataclass
class Cohort:
    """A home, and a way to materialise the group in it."""

    home: Home
    given: dict[str, str] = field(default_factory=dict)

    def materialize(
        self, selection: str = "*", *, ok: bool = True, instance: dg.DagsterInstance | None = None, **config: Any
    ) -> dg.ExecuteInProcessResult:
        """Materialise a selection with some ops' config; assert that it succeeds, or fails."""
        defs = build(Settings(home=self.home.uri).with_sections([VariantsSettings(**self.given)]))
        chosen = dg.AssetSelection.from_coercible(selection.split(","))
        definitions = [*(defs.assets or []), *(defs.asset_checks or [])]
        result = dg.materialize(
            definitions,
            selection=chosen,
            resources={"home": HomeResource(uri=self.home.uri), "engine": ENGINE},
            run_config={"ops": {name: {"config": values} for name, values in config.items()}},
            raise_on_error=False,
            instance=instance,
        )
        assert result.success is ok
        return result

    def rows(self, table: Any) -> list[dict[str, Any]]:
        """Return a table's rows, in an order that does not depend on how it was made."""
        return sorted(self.home.table(table).read().to_pylist(), key=repr)


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> Mapping[str, Any]:
    """Return what a run said of an asset."""
    events = [event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in events[-1].materialization.metadata.items() if hasattr(value, "value")}
