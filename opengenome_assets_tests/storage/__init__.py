"""Tests of opengenome_assets.storage."""
