"""The cluster of docker-compose.yml, with real containers: ``make test-compose``, never a part of ``make test``."""
