"""The private parts of Dagster that the platform uses, in one place for an upgrade.

Belongs here: every import from a module of Dagster whose name begins with an underscore, or of ``dagster_shared``. Does
not belong here: code of this package. Storage in SQLite and the command line are imported at their first use: they
import much.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.asset_selection import DagsterInvalidAssetSelectionError
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.origin import JobPythonOrigin
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import GetCurrentRunsResult
from dagster._serdes import ConfigurableClassData, deserialize_value
from dagster_shared.error import SerializableErrorInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
    from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
    from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
    from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
    from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

    command_line: Callable[[], None]

# Its functions are replaced where a deployment asks for other lines.
loggers: Any = import_module("dagster._loggers")

_STORAGE = "dagster._core.storage"
_AT_FIRST_USE = {
    "INDEX_SHARD_NAME": f"{_STORAGE}.event_log.sqlite.sqlite_event_log",
    "SQLITE_BUSY_TIMEOUT_SECONDS": f"{_STORAGE}.sqlite",
    "DagsterSqliteStorage": f"{_STORAGE}.sqlite_storage",
    "SqliteEventLogStorage": f"{_STORAGE}.event_log.sqlite.sqlite_event_log",
    "SqliteRunStorage": f"{_STORAGE}.runs.sqlite.sqlite_run_storage",
    "SqliteScheduleStorage": f"{_STORAGE}.schedules.sqlite.sqlite_schedule_storage",
    "command_line": "dagster._cli",
}

__all__ = [
    "CODE_VERSION_TAG",
    "DATA_VERSION_IS_USER_PROVIDED_TAG",
    "DATA_VERSION_TAG",
    "GRPC_INFO_TAG",
    "INDEX_SHARD_NAME",
    "NULL_EVENT_POINTER",
    "SINGLETON_REPOSITORY_NAME",
    "SQLITE_BUSY_TIMEOUT_SECONDS",
    "AssetCheckExecutionRecordStatus",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "DagsterGrpcClient",
    "DagsterInvalidAssetSelectionError",
    "DagsterSqliteStorage",
    "DagsterUserCodeUnreachableError",
    "DefaultRunLauncher",
    "GetCurrentRunsResult",
    "InstanceRef",
    "InstigatorType",
    "JobPythonOrigin",
    "LoadableTargetOrigin",
    "ManagedGrpcPythonEnvCodeLocationOrigin",
    "ModuleCodePointer",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "SerializableErrorInfo",
    "SqliteEventLogStorage",
    "SqliteRunStorage",
    "SqliteScheduleStorage",
    "UnresolvedAssetJobDefinition",
    "WorkerStatus",
    "command_line",
    "deserialize_value",
    "get_input_data_version_tag",
    "get_input_event_pointer_tag",
    "loggers",
]


def __getattr__(name: str) -> Any:
    if name in _AT_FIRST_USE:
        module = import_module(_AT_FIRST_USE[name])
        return module.main if name == "command_line" else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
