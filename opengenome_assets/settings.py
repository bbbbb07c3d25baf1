"""What a user sets, and where each value came from.

Every setting has a default and one environment variable; where a run may differ, an asset's run config takes the
value from here as its default. Tuning of Spark itself does not belong here: it goes to ``spark-defaults.conf`` or
``SPARK_CONF_DIR``, as everywhere else in the Spark world.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MAX_K = 12
MAX_NAME_BYTES = 255  # of a file or folder, on Linux and macOS
SAMPLE = "sample"


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable, its value and what would be right."""


@dataclass(frozen=True)
class Settings:
    """The platform's settings.

    Attributes
    ----------
    home
        Root of everything the platform writes: an absolute local path, or an object-store URI.
    source
        Where FASTA comes from: ``sample``, or files and folders separated by commas.
    queries
        FASTA to search the corpus with, named as ``source`` is; empty for none.
    spark_master
        ``local[*]`` (embedded), or ``spark://host:port``.
    ks
        Lengths of the k-mers counted, ascending, each 1 to 12.
    genetic_codes
        NCBI genetic code table of each source, as far as the user names any.
    origins
        For each field the environment variable it was read from, or ``default``.
    """

    home: str
    source: str = SAMPLE
    queries: str = ""
    spark_master: str = "local[*]"
    ks: tuple[int, ...] = (6, 7, 8)
    genetic_codes: Mapping[str, int] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from environment variables.

        Raises
        ------
        SettingsError
            If a variable holds a value that cannot be used.
        """
        env = os.environ if environment is None else environment
        variables = {
            "home": "OPENGENOME_HOME",
            "source": "OPENGENOME_SOURCE",
            "queries": "OPENGENOME_QUERIES",
            "spark_master": "SPARK_MASTER",
            "ks": "OPENGENOME_KS",
            "genetic_codes": "OPENGENOME_GENETIC_CODES",
        }
        # An empty variable counts as unset: Compose and make pass those through.
        given = {name: value for name, variable in variables.items() if (value := env.get(variable, "").strip())}
        source = given.get("source", SAMPLE)
        queries = given.get("queries", "")
        for name, places in (("source", source), ("queries", queries)):
            for place in places.split(","):
                _refuse_long_names(variables[name], place)
        codes = given.get("genetic_codes")
        return cls(
            home=read_home(env),
            source=source,
            queries=queries,
            spark_master=given.get("spark_master", "local[*]"),
            ks=parse_ks(given.get("ks", "6,7,8")),
            genetic_codes=parse_genetic_codes(codes) if codes else {},
            origins={name: variables[name] if name in given else "default" for name in variables},
        )


def read_home(environment: Mapping[str, str] | None = None) -> str:
    """Return the home alone, for what has to work whatever the other settings are.

    Raises
    ------
    SettingsError
        If it can be no path.
    """
    env = os.environ if environment is None else environment
    home = env.get("OPENGENOME_HOME", "").strip() or "data"
    _refuse_long_names("OPENGENOME_HOME", home)
    return absolute(home)


def _refuse_long_names(variable: str, location: str) -> None:
    for name in location.split("/"):
        if len(os.fsencode(name)) > MAX_NAME_BYTES:
            raise SettingsError(
                f"{variable} holds a name of {len(os.fsencode(name)):,} bytes, {name[:20]}…{name[-20:]}: expected at "
                f"most {MAX_NAME_BYTES}, as files and folders can have"
            )


def absolute(location: str) -> str:
    """Return a URI as it is, and a local path made absolute."""
    return location if "://" in location else str(Path(location).expanduser().absolute())


def local_home(home: str) -> Path:
    """Return where files lie that an object store cannot hold: the home, or ``data`` in the current folder."""
    return Path(absolute("data") if "://" in home else home)


def parse_ks(text: str) -> tuple[int, ...]:
    """Parse a comma-separated list of k-mer lengths."""
    try:
        ks = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        ks = ()
    if not ks or ks[0] < 1 or ks[-1] > MAX_K:
        raise SettingsError(
            f"OPENGENOME_KS is {text!r}: expected whole numbers from 1 to {MAX_K} separated by commas, e.g. 6,7,8"
        )
    return ks


def parse_genetic_codes(text: str) -> dict[str, int]:
    """Parse ``source=table`` pairs separated by commas."""
    codes = {}
    for pair in text.split(","):
        source, equals, table = pair.partition("=")
        if not (equals and source.strip() and re.fullmatch(r"\s*[0-9]{1,3}\s*", table)):
            raise SettingsError(
                f"OPENGENOME_GENETIC_CODES holds {pair!r}: expected SOURCE=TABLE pairs separated by commas, "
                "e.g. plastids=11,mitochondria=5 (tables as numbered by NCBI)"
            )
        codes[source.strip()] = int(table)
    return codes
