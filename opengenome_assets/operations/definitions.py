"""The jobs over all groups, for Dagster.

Belongs here: assembling the jobs. Does not belong here: their work (``restore.py``, ``upkeep.py``).
"""

import dagster as dg

from opengenome_assets.framework.table import Specs
from opengenome_assets.operations.restore import restore_job
from opengenome_assets.operations.upkeep import RemoveJobs, upkeep_job, weekly


def build(specs: Specs, remove_jobs: RemoveJobs) -> dg.Definitions:
    """Return the jobs ``restore`` and ``upkeep``, and the schedule of ``upkeep``."""
    upkeep = upkeep_job(specs, remove_jobs)
    return dg.Definitions(jobs=[restore_job(specs), upkeep], schedules=[weekly(upkeep)])
