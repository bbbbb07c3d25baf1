"""Tests of opengenome_assets.engine."""
