"""The group: its asset, check and figure."""

from collections.abc import Iterator

import dagster as dg
from matplotlib.figure import Figure

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.figures import FigureSpec
from opengenome_assets.framework.group import Group, definitions
from opengenome_assets.framework.scans import Scan
from opengenome_assets.framework.summaries import Step
from opengenome_assets.plots.style import Picture
from opengenome_assets.settings import Section, Settings
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.skew.passes import measure
from opengenome_assets_tests.skew.tables import GC_SKEW


class SkewSettings(Section):
    """The group has no settings."""


@rule(GC_SKEW, "The skew is in [-1, 1]")
def skew_in_range(home: Home) -> Iterator[str]:
    """Look for rows whose skew cannot be."""
    for row in home.table(GC_SKEW).read().to_pylist():
        if not -1 <= row["skew"] <= 1:
            yield f"{row['shard']}: {row['skew']}"


def draw(step: Step) -> Picture:
    """Draw a bar per shard."""
    rows = step[GC_SKEW].read().to_pandas()
    figure = Figure()
    figure.add_subplot().bar(rows["shard"].str[:8], rows["skew"])
    return Picture(figure, "GC skew", "GC skew of each shard.", "Bars of GC skew.")


FIGURE = FigureSpec("figure_gc_skew", "GC skew of each shard.", (GC_SKEW,), draw)


def build(settings: Settings) -> dg.Definitions:
    """Return the group's definitions."""
    skew = Scan("measuring GC skew", measure, SEQUENCE_SHARDS, (GC_SKEW,)).asset()
    return definitions(GROUP, {GROUP.name: [skew, skew_in_range, FIGURE]})


GROUP = Group("skew", (GC_SKEW,), SkewSettings, build, passes=("opengenome_assets_tests.skew.passes",))
