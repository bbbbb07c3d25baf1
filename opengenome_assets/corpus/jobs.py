"""Jobs: the whole group, in three sizes.

Each size is a run config in ``presets/<size>.yaml``, which can be given to the command line as it is
(``dagster asset materialize --select '*' --config …``), and is what the job ``corpus_<size>`` starts from in the UI.
"""

from importlib.resources import files

import dagster as dg
import yaml
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from opengenome_assets.corpus import GROUP

PRESETS = ("minimal", "baseline", "full")


def build_jobs() -> list[UnresolvedAssetJobDefinition]:
    """Return one job for each preset."""
    return [build_job(preset) for preset in PRESETS]


def build_job(preset: str) -> UnresolvedAssetJobDefinition:
    """Return the job of a preset, described by the comment at the top of its file."""
    text = files("opengenome_assets").joinpath("presets", f"{preset}.yaml").read_text()
    comment = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    return dg.define_asset_job(
        f"corpus_{preset}",
        selection=dg.AssetSelection.groups(GROUP),
        config=yaml.safe_load(text),
        description=comment,
    )
