"""The groups of assets: a new one is its room and one line here.

Belongs here: which groups there are, and what follows from all of them without Dagster. Does not belong here: what a
group is (``framework/group.py``), and their definitions for Dagster (``definitions.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opengenome_assets.corpus.group import GROUP as CORPUS
from opengenome_assets.framework.group import Group
from opengenome_assets.framework.table import Specs
from opengenome_assets.search.group import GROUP as SEARCH
from opengenome_assets.settings import Settings
from opengenome_assets.storage.record import Provenance

GROUPS: tuple[Group, ...] = (
    CORPUS,
    SEARCH,
)


def specs() -> Specs:
    """Return the declarations of every group's tables."""
    return Specs(table for group in GROUPS for table in group.tables)


def passes() -> list[str]:
    """Return the modules that workers import before their first task."""
    return [name for group in GROUPS for name in group.passes]


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings and every group's section from environment variables.

    Raises
    ------
    SettingsError
        If a variable holds a value that cannot be used.
    """
    sections = [group.settings.from_environment(environment) for group in GROUPS]
    return Settings.from_environment(environment).with_sections(sections)


def settings_of(record: Provenance, home: str) -> Settings:
    """Return the settings with which a table was made, as far as its record holds them, for another home."""
    sections = []
    for group in GROUPS:
        declared = Specs(group.tables)
        given: dict[str, Any] = {}
        if declared.knows(record.name):
            given = {name: record.settings[name] for name in declared.find(record.name).settings}
        if family := declared.family(record.name):
            given = {family[0].setting: [family[1]]}
        sections.append(group.settings(**given))
    return Settings(home=home).with_sections(sections)


def outside(settings: Settings, table: str) -> str | None:
    """Return the variable whose present value leaves a table out; None for a table that is made, or of no family."""
    for group in GROUPS:
        found = Specs(group.tables).family(table)
        if found:
            family, number = found
            section = settings.section(group.settings)
            return None if number in getattr(section, family.setting) else section.variables()[family.setting]
    return None
