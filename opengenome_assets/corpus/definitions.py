"""The corpus' definitions for Dagster: assets, checks, jobs and the sensor.

Belongs here: assembly; a new asset is one line in ``MODULES``. Does not belong here: any asset.
"""

import dagster as dg

from opengenome_assets.corpus import codons, genes, kmers, raw_fasta, sequence_shards, sequence_stats, tfidf_index
from opengenome_assets.corpus.figures import figure_specs
from opengenome_assets.corpus.group import GROUP
from opengenome_assets.corpus.jobs import FULL, build_jobs
from opengenome_assets.corpus.report import report_asset
from opengenome_assets.corpus.sensors import build_sensor
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.framework.group import Member, definitions, rules_of, tables_of
from opengenome_assets.settings import Settings

# By the box of Dagster's graph.
MODULES = {
    "intake": (raw_fasta, sequence_shards, sequence_stats),
    "kmers": (kmers,),
    "codons_and_genes": (genes, codons),
    "search": (tfidf_index,),  # beside what is searched for
}
PICTURES = "figures_and_report"


def build(settings: Settings) -> dg.Definitions:
    """Return the group's definitions."""
    section = settings.section(CorpusSettings)
    boxes = members(section)
    listed = [member for each in boxes.values() for member in each]
    tables = [spec.name for spec in tables_of(GROUP, listed)]
    report = report_asset(section.ks, tables, figure_specs(section.ks), rules_of(GROUP, listed))
    boxes[PICTURES].append(report)
    jobs = build_jobs()
    sensor = build_sensor(jobs[FULL], section.source, settings.home)
    return definitions(GROUP, boxes, jobs=[*jobs.values()], sensors=[sensor])


def members(section: CorpusSettings) -> dict[str, list[Member]]:
    """Return the group's tables, rules and figures, by box; the report reads all of them."""
    tables = {
        box: [member for module in modules for member in module.define(section)] for box, modules in MODULES.items()
    }
    return {**tables, PICTURES: [*figure_specs(section.ks)]}
