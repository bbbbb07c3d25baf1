"""What Dagster loads: :func:`build_defs` assembles everything, ``defs`` is the result.

Assets, checks, jobs and resources have modules of their own; nothing is implemented here.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import dagster as dg

from opengenome_assets.corpus.checks import build_checks, query_rules, rules
from opengenome_assets.corpus.codons import codon_counts, codon_rscu
from opengenome_assets.corpus.figures import figure_asset, figure_rule, figure_specs
from opengenome_assets.corpus.jobs import build_jobs
from opengenome_assets.corpus.kmers import counts_asset, frequency_asset
from opengenome_assets.corpus.raw_fasta import raw_fasta
from opengenome_assets.corpus.report import report_asset
from opengenome_assets.corpus.sensors import build_sensor
from opengenome_assets.corpus.sequence_shards import sequence_shards
from opengenome_assets.corpus.sequence_stats import sequence_stats, shard_stats
from opengenome_assets.corpus.tfidf_index import tfidf_index
from opengenome_assets.engine.spark import Spark
from opengenome_assets.operations.restore import restore
from opengenome_assets.operations.upkeep import upkeep, weekly_upkeep
from opengenome_assets.search.query_hits import query_hits, search_queries
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Tables

# What every worker needs, loaded once before workers are forked.
PRELOAD = [
    "opengenome_assets.corpus.passes.codons",
    "opengenome_assets.corpus.passes.kmers",
    "opengenome_assets.corpus.passes.parse",
    "opengenome_assets.corpus.passes.profiles",
    "opengenome_assets.corpus.passes.stats",
    "opengenome_assets.search.passes",
]


def build_defs(
    settings: Settings | None = None, *, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Return the platform's definitions.

    Parameters
    ----------
    settings
        Where things lie and which k-mer tables there are; read from the environment unless given.
    resource_overrides
        Resources that take the place of those made from the settings.
    """
    settings = settings or Settings.from_environment()
    figures = figure_specs(settings.ks)
    jobs = build_jobs()
    all_rules = [*rules(settings.ks), *(figure_rule(spec) for spec in figures)]
    return dg.Definitions(
        assets=[
            raw_fasta,
            sequence_shards,
            shard_stats,
            sequence_stats,
            counts_asset(settings.ks),
            *(frequency_asset(k) for k in settings.ks),
            codon_counts,
            codon_rscu,
            tfidf_index,
            *(figure_asset(spec) for spec in figures),
            report_asset(settings.ks, figures, all_rules),
            query_hits,
        ],
        asset_checks=build_checks([*all_rules, *query_rules()]),
        jobs=[*jobs, restore, search_queries, upkeep],
        schedules=[weekly_upkeep],
        sensors=[build_sensor(jobs[-1], settings.source, settings.home)],
        resources={
            "tables": Tables(home=settings.home),
            "spark": Spark(master=settings.spark_master, preload=PRELOAD),
            **(resource_overrides or {}),
        },
        # One process a run: every step shares the run's one Spark session.
        executor=dg.in_process_executor,
    )


defs = build_defs()
# What is loaded by now stays. To look through it for garbage takes 0.2 s, time and again, in whichever step runs then.
gc.freeze()
