"""The documents: what they say of tables, settings and files is what the code says.

``python -m opengenome_assets_tests.test_docs > docs/tables.md`` writes the page of tables anew.
"""

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import Schema
from opengenome_assets.corpus.checks import table_schemas

from opengenome_assets.corpus.codons import CodonRscuConfig
from opengenome_assets.corpus.jobs import PRESETS
from opengenome_assets.corpus.raw_fasta import RawFastaConfig
from opengenome_assets.corpus.sequence_shards import SequenceShardsConfig
from opengenome_assets.definitions import build_defs
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.operations.upkeep import UpkeepConfig
from opengenome_assets.search import query_hits
from opengenome_assets.search.query_hits import QueryHitsConfig
from opengenome_assets.settings import Settings
from opengenome_assets.storage.columns import comment

ROOT = Path(__file__).parents[1]


def schemas() -> dict[str, pa.Schema]:
    """Return the schema of every table."""
    return {**table_schemas([6]), query_hits.NAME: query_hits.SCHEMA}


def tables_page() -> str:
    """Return the page of tables, made from their schemas."""
    lines = [
        "# Tables",
        "",
        "Delta Lake tables at `$OPENGENOME_HOME/tables/<name>`. The types are Delta Lake's.",
    ]
    for name, schema in schemas().items():
        title = name if name != "kmer_freq_k6" else "kmer_freq_k6, kmer_freq_k7, kmer_freq_k8"
        lines += ["", f"## {title}", "", "| column | type | holds |", "|---|---|---|"]
        for stored, field in zip(Schema.from_arrow(schema).fields, schema, strict=True):
            kind = getattr(stored.type, "type", None) or f"list of {stored.type.element_type.type}"
            lines.append(f"| {field.name} | {kind} | {comment(field)} |")
    return "\n".join(lines) + "\n"


def test_the_page_of_tables_is_what_the_schemas_say():
    assert (ROOT / "docs" / "tables.md").read_text() == tables_page()


def test_every_column_is_described():
    assert not [(name, f.name) for name, schema in schemas().items() for f in schema if not comment(f)]


@pytest.mark.parametrize("config", [RawFastaConfig, SequenceShardsConfig, CodonRscuConfig, QueryHitsConfig])
def test_every_setting_of_a_run_is_on_the_page_of_running(config):
    page = (ROOT / "docs" / "running.md").read_text()
    assert [name for name in config.model_fields if f"| {name} |" not in page] == []


def test_every_setting_of_upkeep_is_on_its_page_with_its_default():
    page = (ROOT / "docs" / "upkeep.md").read_text()
    for name, field in UpkeepConfig.model_fields.items():
        assert f"| {name} | {json.dumps(field.default)} |" in page


def test_every_variable_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    env = {
        "OPENGENOME_HOME": "/h",
        "OPENGENOME_SOURCE": "s",
        "OPENGENOME_QUERIES": "q",
        "SPARK_MASTER": "local",
        "OPENGENOME_KS": "6",
    }
    origins = Settings.from_environment({**env, "OPENGENOME_GENETIC_CODES": "a=1"}).origins
    assert [variable for variable in origins.values() if f"`{variable}`" not in readme] == []


def test_every_setting_of_the_cluster_is_explained_with_its_default():
    compose, example = ((ROOT / name).read_text() for name in ("docker-compose.yml", ".env.example"))
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", compose))
    explained = dict(re.findall(r"^#(\w+)=(.*)$", example, re.MULTILINE)[::-1])  # the first preset is the default
    assert {name: explained.get(name) for name in used} == {
        **used,
        "OPENGENOME_SOURCE": "sample",
        "OPENGENOME_KS": "6,7,8",
    }


def test_every_preset_is_on_the_page_of_running_and_is_a_job():
    page = (ROOT / "docs" / "running.md").read_text()
    jobs = {job.name for job in build_defs(Settings(home="/h")).jobs or []}
    for preset in PRESETS:
        assert f"presets/{preset}.yaml" in page
        assert f"corpus_{preset}" in jobs


def test_endings_of_files_are_on_the_page_of_input():
    page = (ROOT / "docs" / "input.md").read_text()
    assert " ".join(FASTA.endings) in page
    assert " ".join(FASTA.compression_endings) in page


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
def test_links_between_documents_lead_somewhere(page):
    folder = (ROOT / page).parent
    links = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text())
    assert [link for link in links if "://" not in link and not (folder / link).exists()] == []


if __name__ == "__main__":
    print(tables_page(), end="")
