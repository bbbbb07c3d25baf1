"""Metrics of the scheduled backup, from the note that it keeps in the home.

Belongs here: turning the note into samples. Does not belong here: the backup (``operations/backup.py``).
"""

from __future__ import annotations

import logging

from prometheus_client.core import GaugeMetricFamily, Metric

from opengenome_assets.operations.backup import BackupError, read_note
from opengenome_assets.storage.tables import Home

LOG = logging.getLogger("opengenome.metrics")


def backup_metrics(home: str) -> list[Metric]:
    """Return when the last backup of a home began, when the next is due, and whether the last attempt failed.

    There are none if no backup is scheduled.
    """
    try:
        note = read_note(Home(home))
    except (BackupError, OSError) as error:
        LOG.warning("The scheduled backup is not known: %s", error)
        return []
    if note is None:
        return []
    failed = GaugeMetricFamily("opengenome_backup_failed", "1 if the last scheduled backup failed", labels=["place"])
    failed.add_metric([note.place], float(bool(note.error)))
    last = GaugeMetricFamily(
        "opengenome_backup_last_timestamp_seconds", "Begin of the newest scheduled backup", labels=["place"]
    )
    due = GaugeMetricFamily(
        "opengenome_backup_due_timestamp_seconds", "When the next scheduled backup is due", labels=["place"]
    )
    if note.last:
        last.add_metric([note.place], note.last.timestamp())
        due.add_metric([note.place], note.last.timestamp() + 3600 * note.every_hours)
    return [failed, last, due]
