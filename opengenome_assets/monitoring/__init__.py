"""Monitoring: the state of the platform for those who run it, as metrics, as a page, and as messages.

Belongs here: reading Dagster's instance and the disk, judging what is wrong, and telling it. Does not belong here: the
search server's own metrics (``service/metrics.py``), and the rules of a Prometheus server (``docker/monitoring``).
"""
