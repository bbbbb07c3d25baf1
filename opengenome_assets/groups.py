"""The groups of assets: a new one needs its room and one line here.

Belongs here: the list of groups, and functions over all of them without Dagster. Does not belong here: the class
``Group`` (``framework/group.py``), and the definitions for Dagster (``definitions.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from opengenome_assets.corpus.group import GROUP as CORPUS
from opengenome_assets.framework.group import Group
from opengenome_assets.framework.jobs import JobKind
from opengenome_assets.framework.table import Specs
from opengenome_assets.proteins.group import GROUP as PROTEINS
from opengenome_assets.search.group import GROUP as SEARCH
from opengenome_assets.settings import Section, Settings, SettingsError
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.group import GROUP as VARIANTS

GROUPS: tuple[Group, ...] = (
    CORPUS,
    SEARCH,
    PROTEINS,
    VARIANTS,
)

PREFIX = "OPENGENOME_"
NEAR = 0.8  # share of the letters in common, as `difflib` has it


class RecordedSettingsError(LookupError):
    """A record's settings cannot be used by this package. A retry does not help; the message says what does."""


def specs() -> Specs:
    """Return the declarations of every group's tables."""
    return Specs(table for group in GROUPS for table in group.tables)


def group_of(table: str) -> Group | None:
    """Return the group that declares a table; None if there is none."""
    return next((group for group in GROUPS if Specs(group.tables).knows(table)), None)


def passes() -> list[str]:
    """Return the modules that workers preload before their first task."""
    return [name for group in GROUPS for name in group.passes]


def job_kinds() -> dict[str, JobKind]:
    """Return the kinds of jobs that the groups take, by name."""
    return {kind.name: kind for group in GROUPS for kind in group.jobs}


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings and every group's section from environment variables.

    Raises
    ------
    SettingsError
        If a variable holds a value that cannot be used.
    """
    sections = [group.settings.from_environment(environment) for group in GROUPS]
    return Settings.from_environment(environment).with_sections(sections)


def misspelled(environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables that are no setting but nearly one, each with that: nobody would read them.

    Only names are compared that begin as those of settings do, after that beginning.
    """
    sections: list[type[Section]] = [Settings, *(group.settings for group in GROUPS)]
    known = {name.removeprefix(PREFIX) for section in sections for name in section.variables().values()}
    given = {name.removeprefix(PREFIX) for name, value in environment.items() if name.startswith(PREFIX) and value}
    near = {name: get_close_matches(name, known, 1, NEAR) for name in sorted(given - known)}
    return {PREFIX + name: PREFIX + found[0] for name, found in near.items() if found}


def refuse(settings: Settings) -> None:
    """Refuse settings that name input that is not there.

    Raises
    ------
    ValueError
        If they do. A retry does not help.
    """
    for group in GROUPS:
        group.refuse(settings)


def reads(settings: Settings) -> list[str]:
    """Return what the assets of all groups read outside the home.

    Raises
    ------
    OSError, ValueError, RemoteError
        If that cannot be told.
    """
    return [place for group in GROUPS for place in group.reads(settings)]


def settings_of(record: Provenance, home: str) -> Settings:
    """Return the settings that a table was made with, as far as its record holds them, for another home.

    Raises
    ------
    RecordedSettingsError
        If the record lacks a declared setting, or a setting or the number of a family is out of range.
    """
    sections = []
    for group in GROUPS:
        declared = Specs(group.tables)
        given: dict[str, Any] = {}
        if spec := declared.get(record.name):
            if missing := [name for name in spec.settings if name not in record.settings]:
                raise _unusable(record, f"its record lacks the setting {', '.join(missing)}")
            given = {name: record.settings[name] for name in spec.settings}
        if family := declared.family(record.name):
            given[family[0].setting] = [family[1]]
        try:
            sections.append(group.settings.of(given))
        except SettingsError as error:
            raise _unusable(record, f"its settings are out of range here: {error}") from error
    return Settings(home=home).with_sections(sections)


def explain(home: Home, table: str, before: int, after: int) -> list[dict[str, Any]] | None:
    """Return why two versions of a table differ, as rows; None if its group does not say."""
    found = next((group.explain[table] for group in GROUPS if table in group.explain), None)
    return found(home, before, after) if found else None


def _unusable(record: Provenance, problem: str) -> RecordedSettingsError:
    return RecordedSettingsError(
        f"{record.name}: {problem}. It was made by code version {record.code_version} of opengenome-assets "
        f"{record.package_version}: install that one to make it again"
    )


def outside(settings: Settings, table: str) -> str | None:
    """Return the variable whose value excludes a table of a family; None if the table is made or has no family."""
    for group in GROUPS:
        found = Specs(group.tables).family(table)
        if found:
            family, number = found
            section = settings.section(group.settings)
            return None if number in getattr(section, family.setting) else section.variables()[family.setting]
    return None
