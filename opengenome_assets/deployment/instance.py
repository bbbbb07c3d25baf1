"""Dagster's instance on one machine: its storage lies under the platform's home without any setting.

Belongs here: the default folder, since a ``dagster.yaml`` can read a variable but has no default for it. Does not
belong here: a deployment whose storage is a database; it has another ``dagster.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping

from dagster import DagsterInstance, Field

from opengenome_assets.framework.private import ConfigurableClassData, InstanceRef
from opengenome_assets.settings import SettingsError, local_home, read_home


class LocalInstance(DagsterInstance):
    """An instance with its run history, event log, schedules and step logs at ``$OPENGENOME_HOME/dagster``.

    SQLite cannot use an object store. With a home in one, they lie at ``data/dagster`` in the current folder.
    """

    @classmethod
    def config_schema(cls) -> Mapping[str, Field]:
        """Return the settings of ``dagster.yaml`` for this class: none."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        """Return the defaults of Dagster's storage, which ``dagster.yaml`` may override.

        Parameters
        ----------
        base_dir
            Dagster's own default folder: DAGSTER_HOME, or a temporary one if that is unset.

        Raises
        ------
        SettingsError
            If the folder cannot be created.
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
