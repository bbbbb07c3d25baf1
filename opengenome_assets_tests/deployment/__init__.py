"""Tests of opengenome_assets.deployment."""
