"""Tests of opengenome_assets.intake.hub."""
