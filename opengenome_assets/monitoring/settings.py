"""Settings of the exporter: the cluster that it watches.

Belongs here: what ``opengenome metrics`` reads from the environment. Does not belong here: host and port, which are
options of the command.
"""

from __future__ import annotations

from pydantic import Field

from opengenome_assets.settings import Section


class MonitoringSettings(Section):
    """What the exporter watches beside Dagster."""

    spark_page: str = Field(
        default="",
        validation_alias="OPENGENOME_SPARK_PAGE",
        description="address of the Spark master's page, whose workers the exporter counts; none without a cluster",
    )
    spark_workers: int = Field(
        default=2,
        ge=1,
        validation_alias="OPENGENOME_SPARK_WORKERS",
        description="number of Spark workers below which the exporter reports a problem",
    )
