"""Dagster's own storage on one machine: under the platform's home, without anything being set.

A ``dagster.yaml`` can take a folder from the environment but cannot fall back to a default; here the default
is worked out. A deployment whose storage is a database has another ``dagster.yaml`` and no use for this.
"""

from __future__ import annotations

from collections.abc import Mapping

from dagster import DagsterInstance, Field

from opengenome_assets.framework.private import ConfigurableClassData, InstanceRef
from opengenome_assets.settings import SettingsError, local_home, read_home


class LocalInstance(DagsterInstance):
    """An instance whose run history, event log, schedules and step logs lie at ``$OPENGENOME_HOME/dagster``.

    Where the home is an object store, which SQLite cannot use, they lie at ``data/dagster`` in the current
    folder.
    """

    @classmethod
    def config_schema(cls) -> Mapping[str, Field]:
        """Return the settings of ``dagster.yaml`` that only this class knows: none."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        """Return where Dagster keeps what ``dagster.yaml`` says nothing about.

        Parameters
        ----------
        base_dir
            The folder Dagster would use: DAGSTER_HOME, or a temporary one where that is not set.

        Raises
        ------
        SettingsError
            If there can be no such folder.
        """
        folder = local_home(read_home()) / "dagster"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"Dagster's records cannot be kept at {folder}: {error.strerror}. Make it writable, or set "
                "OPENGENOME_HOME to a folder that is"
            ) from error
        return InstanceRef.config_defaults(str(folder))
