"""Tests of the group ``variants``."""
