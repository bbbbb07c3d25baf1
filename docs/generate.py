"""Pages that are made from the code.

``tables.md`` from the tables' declarations, ``settings.md`` from the settings, ``licences.md`` from what is
installed, ``chart.md`` from the schema of the Helm chart's values, and ``commands.md``, ``http.md`` and ``python.md``
from the code (``reference.py``).

The alerts of Prometheus are made from the rules of monitoring. ``python -m docs.generate`` (``make docs``) writes
them all. The tests compare them with what the code says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from docs.reference import commands_page, http_page, python_page
from opengenome_assets import groups
from opengenome_assets.framework.table import TableFamily, TableSpec
from opengenome_assets.logs import LogSettings
from opengenome_assets.monitoring.problems import alerting_rules
from opengenome_assets.monitoring.settings import MonitoringSettings
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Section, Settings
from opengenome_assets.storage.columns import comment
from opengenome_assets.storage.commits import stored

FOLDER = Path(__file__).parent
HEAD = "<!-- Made from the code by `make docs`. -->"


def tables_page() -> str:
    """Return the page of tables."""
    lines = [
        "# Tables",
        "",
        HEAD,
        "",
        "Delta Lake tables at `$OPENGENOME_HOME/tables/<name>`. A key identifies a row. *From* names the columns that",
        "a column is worked out from; without any, the source files, a setting or a fixed list gives it.",
    ]
    for group in groups.GROUPS:
        lines += ["", f"## Group {group.name}"]
        for declared in group.tables:
            lines += ["", *_table(declared)]
    return "\n".join(lines) + "\n"


def _table(declared: TableSpec | TableFamily) -> Iterator[str]:
    spec = declared.template if isinstance(declared, TableFamily) else declared
    yield f"### {spec.name}"
    yield ""
    yield spec.description
    yield ""
    role = f"; the group's {spec.role.value}" if spec.role else ""
    yield f"Key: {', '.join(spec.key)}. Code version: {spec.code_version}{role}."
    yield ""
    yield "| column | type | holds | from |"
    yield "|---|---|---|---|"
    for column, field in zip(spec.columns, stored(spec.schema), strict=True):
        origins = ", ".join(column.origins)
        yield f"| {column.name} | {field.type} | {comment(spec.schema.field(column.name))} | {origins} |"


def settings_page() -> str:
    """Return the page of settings."""
    lines = [
        "# Settings",
        "",
        HEAD,
        "",
        "Every setting has an environment variable and a default. What a run may set otherwise is run config:",
        "[running.md](running.md). `HF_TOKEN`, `HF_TOKEN_PATH` and `HF_ENDPOINT` are the Hub's: [hub.md](hub.md).",
    ]
    sections: dict[str, type[Section]] = {"The platform": Settings}
    sections |= {f"Group {group.name}": group.settings for group in groups.GROUPS}
    sections |= {"The search server": ServerSettings, "The exporter": MonitoringSettings, "Log lines": LogSettings}
    for title, section in sections.items():
        lines += ["", f"## {title}", "", "| variable | default | meaning |", "|---|---|---|"]
        for name, variable in section.variables().items():
            field = section.model_fields[name]
            lines.append(f"| `{variable}` | {_default(section, name)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _default(section: type[Section], name: str) -> str:
    field = section.model_fields[name]
    value = field.get_default(call_default_factory=True)
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"`{value}`" if value or isinstance(value, int) else "none"


def chart_page() -> str:
    """Return the page of the Helm chart's values, from their schema."""
    chart = FOLDER.parent / "deploy" / "helm" / "opengenome"
    lines = [
        "# Values of the Helm chart",
        "",
        HEAD,
        "",
        "Values for `--set` and `--values` of `helm install` ([kubernetes.md](kubernetes.md)). Other names and",
        "types are refused.",
        "",
        "| value | default | meaning |",
        "|---|---|---|",
    ]
    schema = json.loads((chart / "values.schema.json").read_text())
    lines += _values(schema, yaml.safe_load((chart / "values.yaml").read_text()), "")
    return "\n".join(lines) + "\n"


def _values(schema: dict[str, Any], default: Any, name: str) -> Iterator[str]:
    if "description" in schema:
        shown = json.dumps(default) if default not in ("", {}, []) else "none"
        yield f"| `{name}` | {shown if shown == 'none' else f'`{shown}`'} | {schema['description']} |"
        return
    for key, inner in schema["properties"].items():
        yield from _values(inner, default[key], f"{name}.{key}".lstrip("."))


EXTRAS = {"java"}  # "cluster" is installed in images only
COPYLEFT = ("GPL", "MPL")  # the LGPL too


def licences_page() -> str:
    """Return the page of the licences of the packages that ours needs to run on Linux, with a Java runtime."""
    found = sorted(needed("opengenome-assets", EXTRAS), key=lambda each: canonicalize_name(each.name))
    others = [(each, licence(each)) for each in found if each.name != "opengenome-assets"]
    bound = [(each, words) for each, words in others if any(kind in words for kind in COPYLEFT)]
    lines = [
        "# Licences",
        "",
        HEAD,
        "",
        "OpenGenome Assets is under the [Apache License 2.0](../LICENSE), with a [NOTICE](../NOTICE). It needs the",
        "packages below and passes none of them on: they are installed from the package registry, each under its own",
        "licence. An image holds them. Whoever passes an image on passes them on too, and owes what their licences ask",
        "for.",
        "",
        "The data that are shipped, where they are from, and their terms: the samples of",
        "[corpus](../opengenome_assets/corpus/sample/README.md),",
        "[proteins](../opengenome_assets/proteins/sample/README.md)",
        "and [variants](../opengenome_assets/variants/sample/README.md), and the",
        "[catalogue of mutations](../opengenome_assets/proteins/catalogue_files/README.md).",
        "",
        "## Copyleft",
        "",
        "| package | licence |",
        "|---|---|",
        *(f"| {each.name} | {words} |" for each, words in bound),
        "",
        "The image for a cluster also holds `dagster-postgres` (Apache-2.0), `psycopg2-binary` (LGPL-3.0-or-later) and",
        "Debian's packages.",
        "",
        "`pyrodigal` finds genes, and is imported by the package: together they are used and passed on under the GPL,",
        "version 3 or later, with which the Apache License 2.0 is compatible. The source of both is public. Without",
        "passing anything on, nothing follows from it.",
        "",
        "## All packages",
        "",
        "| package | version | licence |",
        "|---|---|---|",
        *(f"| {each.name} | {each.version} | {words} |" for each, words in others),
    ]
    return "\n".join(lines) + "\n"


def needed(name: str, extras: set[str]) -> list[Distribution]:
    """Return an installed package and those that it needs."""
    found: dict[str, Distribution] = {}
    waiting = [(name, extras)]
    while waiting:
        name, extras = waiting.pop()
        if canonicalize_name(name) in found:
            continue
        package = found[canonicalize_name(name)] = distribution(name)
        for each in map(Requirement, package.requires or []):
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append((each.name, each.extras))
    return list(found.values())


def licence(package: Distribution) -> str:
    """Return the licence that a package names: an expression, a short name, or else its classifiers."""
    said = package.metadata
    short = (said.get("License") or "").strip()
    classes = [each for each in said.get_all("Classifier") or [] if each.startswith("License ::")]
    if expression := said.get("License-Expression"):
        return expression
    if short and "\n" not in short and len(short) < 60:
        return short
    return ", ".join(each.rpartition(" :: ")[2] for each in classes) or "see its files"


PAGES = {
    "../docker/monitoring/alerts.yml": alerting_rules,
    "chart.md": chart_page,
    "commands.md": partial(commands_page, HEAD),
    "http.md": partial(http_page, HEAD),
    "licences.md": licences_page,
    "python.md": partial(python_page, HEAD),
    "settings.md": settings_page,
    "tables.md": tables_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
