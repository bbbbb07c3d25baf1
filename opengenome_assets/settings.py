"""Settings: what a user sets, and where each value came from.

A *section* holds the settings of one room: home and engine here, each group's beside its assets. Every setting has a
default and one environment variable. An asset's run config takes its defaults from here, so that a run may differ.

Belongs here: the class of sections, and the settings that all groups share. Does not belong here: a group's own
settings, and Spark's tuning, which goes to ``spark-defaults.conf`` or ``SPARK_CONF_DIR``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

MAX_NAME_BYTES = 255  # of a file or folder, on Linux and macOS
DEFAULT = "default"

Own = TypeVar("Own", bound="Section")


class SettingsError(ValueError):
    """A setting has an unusable value. The message names the variable, its value and what is expected."""


@dataclass(frozen=True)
class Setting:
    """A setting for display: its name, which two sections may share, its variable, and its value in words.

    ``origin`` is the variable, or ``default`` if that is not set.
    """

    name: str
    variable: str
    value: str
    origin: str


class Section(BaseSettings):
    """A section of the settings. Only :meth:`from_environment` reads the environment."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, env_ignore_empty=True, case_sensitive=True
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the values that the caller gives, never the environment."""
        return (init_settings,)

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Return the environment variable of each setting."""
        return {name: str(field.validation_alias) for name, field in cls.model_fields.items() if field.validation_alias}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the section from environment variables. An empty one counts as unset, since Compose passes those.

        Raises
        ------
        SettingsError
            If a variable holds a value that cannot be used.
        """
        source = EnvSettingsSource(cls)
        env = os.environ if environment is None else environment
        source.env_vars = {name: value.strip() for name, value in env.items() if value.strip()}
        given = source()
        section = cls.of(given)
        section._origins = {name: variable for name, variable in cls.variables().items() if variable in given}
        return section

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the section with some values, the others by default.

        Raises
        ------
        SettingsError
            If a value cannot be used.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise _in_words(cls, error) from error

    def origin(self, name: str) -> str:
        """Return the variable that a setting came from, or ``default``."""
        return self._origins.get(name, DEFAULT)

    def shown(self) -> Iterator[Setting]:
        """Yield the settings as ``opengenome info`` shows them."""
        for name, variable in self.variables().items():
            yield Setting(name, variable, self.show(name), self.origin(name))

    def show(self, name: str) -> str:
        """Return a setting's value in words."""
        return str(getattr(self, name)) or "none"


def _in_words(section: type[Section], error: ValidationError) -> SettingsError:
    """Return the first problem as a message. The sections' own validators name the variable, pydantic's do not."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, SettingsError):
        return cause
    place = str(first["loc"][0]) if first["loc"] else section.__name__
    return SettingsError(f"{place} is {first.get('input')!r}: {first['msg'][0].lower()}{first['msg'][1:]}")


def absolute(location: str) -> str:
    """Return a URI as it is, and a local path made absolute."""
    return location if "://" in location else str(Path(location).expanduser().absolute())


def refuse_long_names(variable: str, location: str) -> str:
    """Return a place, or places separated by commas, unless a name in them is too long for a file system.

    Raises
    ------
    SettingsError
        If one is too long.
    """
    for name in location.replace(",", "/").split("/"):
        if len(os.fsencode(name)) > MAX_NAME_BYTES:
            raise SettingsError(
                f"{variable} holds a name of {len(os.fsencode(name)):,} bytes, {name[:20]}…{name[-20:]}: expected at "
                f"most {MAX_NAME_BYTES}, as files and folders can have"
            )
    return location


def _home(location: str) -> str:
    return absolute(refuse_long_names("OPENGENOME_HOME", location))


class HomeSettings(Section):
    """The home alone, which must be readable even if other settings are unusable."""

    home: Annotated[str, AfterValidator(_home)] = Field(
        default="data",
        validation_alias="OPENGENOME_HOME",
        validate_default=True,
        description="where everything is kept: a folder, or an object store as `s3://BUCKET/PATH`",
    )


class Settings(HomeSettings):
    """The settings that every group shares, and the sections of the groups.

    Attributes
    ----------
    home
        Root of everything the platform writes: an absolute local path, or an object-store URI.
    engine
        The engine: ``spark``, or ``processes`` of this machine, which need no Java.
    spark_master
        ``local[*]`` (embedded), or ``spark://host:port``.
    sections
        The groups' sections; a group without one has its defaults.
    """

    engine: Literal["spark", "processes"] = Field(
        default="spark",
        validation_alias="OPENGENOME_ENGINE",
        description="`processes` runs the work in processes of this machine, without Java",
    )
    spark_master: str = Field(
        default="local[*]", validation_alias="SPARK_MASTER", description="`spark://host:7077` for a cluster"
    )
    sections: tuple[Section, ...] = ()

    def section(self, kind: type[Own]) -> Own:
        """Return a group's section: as given, or its defaults."""
        return next((each for each in self.sections if isinstance(each, kind)), None) or kind()

    def with_sections(self, sections: Iterable[Section]) -> Self:
        """Return these settings with the groups' sections."""
        changed = self.model_copy(update={"sections": tuple(sections)})
        changed._origins = self._origins
        return changed


def read_home(environment: Mapping[str, str] | None = None) -> str:
    """Return the home alone, for callers that must work even if other settings are unusable.

    Raises
    ------
    SettingsError
        If it cannot be a path.
    """
    return HomeSettings.from_environment(environment).home


def local_home(home: str) -> Path:
    """Return the folder of files that an object store cannot hold: the home, or ``data`` in the current folder."""
    return Path(absolute("data") if "://" in home else home)


def dagster_home() -> Path:
    """Return the folder of Dagster's configuration.

    It is DAGSTER_HOME, else the current folder if that has a ``dagster.yaml``, else the folder of Dagster's records in
    the home.
    """
    if named := os.environ.get("DAGSTER_HOME"):
        return Path(named)
    return Path.cwd() if Path("dagster.yaml").exists() else local_home(read_home()) / "dagster"
