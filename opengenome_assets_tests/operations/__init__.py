"""Tests of opengenome_assets.operations."""
