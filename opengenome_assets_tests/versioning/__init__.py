"""Tests of the room ``versioning``."""
