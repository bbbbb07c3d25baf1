"""Jobs: the whole group, in three sizes.

Belongs here: one job per preset. Does not belong here: the assets. A preset is a run config in ``presets/<size>.yaml``.
The command line takes it as it is (``dagster asset materialize --select '*' --config …``), and the job
``corpus_<size>`` starts from it in the UI.
"""

from pathlib import Path

import dagster as dg

from opengenome_assets.corpus.group import GROUP
from opengenome_assets.framework.group import GROUP_TAG
from opengenome_assets.framework.private import UnresolvedAssetJobDefinition

FULL = "full"  # the preset of the runs that the sensor requests
PRESETS = ("minimal", "baseline", FULL)


def build_jobs() -> dict[str, UnresolvedAssetJobDefinition]:
    """Return the job of each preset, by the preset's name."""
    return {preset: build_job(preset) for preset in PRESETS}


def build_job(preset: str) -> UnresolvedAssetJobDefinition:
    """Return the job of a preset, described by the comment at the top of its file."""
    path = Path(__file__).parent / "presets" / f"{preset}.yaml"
    comment = " ".join(line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#"))
    return dg.define_asset_job(
        f"corpus_{preset}",
        selection=dg.AssetSelection.tag(GROUP_TAG, GROUP.name),
        config=dg.config_from_files([str(path)]),
        description=comment,
    )
