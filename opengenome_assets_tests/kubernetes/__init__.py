"""The Helm chart on a real cluster: ``make test-kubernetes``, never a part of ``make test``."""
