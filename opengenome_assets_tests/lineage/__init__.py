"""Tests of the package's room of the same name."""
