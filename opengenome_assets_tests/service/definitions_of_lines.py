"""Dagster's definitions of the kind of lines, for a daemon of its own."""

import os

from opengenome_assets.service.jobs.definitions import build
from opengenome_assets.settings import Settings
from opengenome_assets_tests.service.lines import KIND

defs = build(Settings(home=os.environ["OPENGENOME_HOME"], engine="processes"), {KIND.name: KIND}, [])
