"""Tests of the built wheel, by `make test-wheel`."""
