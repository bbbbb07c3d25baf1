"""Checks: assertions about an asset, verified before anything is built on it.

A check compares a table with an independent computation: another column, another table, another count of the same
bytes. Checks of tables block: assets downstream of a wrong table are not made.

Belongs here: the class of rules, its Dagster check, and the rule that every table has. Does not belong here: any other
rule; each stands beside its asset.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import dagster as dg

from opengenome_assets.framework.making import table_of
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.storage.commits import stored
from opengenome_assets.storage.tables import Home, Named
from opengenome_assets.words import plural

Problems = Iterable[str]
SHOWN = 20


@dataclass(frozen=True)
class Rule:
    """An assertion about an asset. ``problems`` yields a sentence for each violation.

    A rule that is not ``blocking`` warns: what is downstream is made all the same.
    """

    asset: str
    name: str
    description: str
    problems: Callable[[Home], Problems]
    blocking: bool = True


def rule(
    asset: Named, description: str, *, name: str | None = None, blocking: bool = True
) -> Callable[[Callable[[Home], Problems]], Rule]:
    """Return a decorator that makes a rule of a function from a home to problems, with the function's name."""

    def decorate(problems: Callable[[Home], Problems]) -> Rule:
        return Rule(asset.name, name or problems.__name__, description, problems, blocking)

    return decorate


def schema_rule(spec: TableSpec) -> Rule:
    """Return the rule that a table has its declared columns."""

    @rule(spec, "The table has the columns and types that it is described with", name="columns")
    def columns(home: Home) -> Iterator[str]:
        found = {field.name: str(field.type) for field in home.table(spec).at().schema}
        expected = {field.name: str(field.type) for field in stored(spec.schema)}
        for column in sorted({*found, *expected}):
            if found.get(column) != expected.get(column):
                yield f"{spec.name}.{column}: expected {expected.get(column)}, found {found.get(column)}"

    return columns


def as_check(rule: Rule) -> dg.AssetChecksDefinition:
    """Return a rule as a Dagster check."""

    @dg.asset_check(asset=rule.asset, name=rule.name, description=rule.description, blocking=rule.blocking)
    def check(home: dg.ResourceParam[Home]) -> dg.AssetCheckResult:
        try:
            found = list(rule.problems(home))
        except (LookupError, ValueError, ArithmeticError, OSError) as error:  # the table cannot even be read
            found = [f"the check could not be made: {error}"]
        if not found:
            return dg.AssetCheckResult(passed=True)
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.ERROR if rule.blocking else dg.AssetCheckSeverity.WARN,
            description=f"{plural(len(found), 'problem')}. {found[0]}",
            metadata={"problems": table_of(["problem"], ([line] for line in found[:SHOWN]))},
        )

    return check
