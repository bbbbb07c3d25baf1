"""Tests of the assets, materialised."""
