# Installation, the pipeline, the user interface and the tests. `make help` lists what there is.
#
# Everything is installed into .venv, from requirements.lock, and checked by hash. OPENGENOME_HOME, OPENGENOME_SOURCE,
# OPENGENOME_ENGINE, SPARK_MASTER and HF_TOKEN come from the environment, or as `make run NAME=value`.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || echo python3)
PORT ?= 3000
SEARCH_PORT ?= 3001
BASES ?= 2800000000
SECRETS ?= secrets
SELECT ?= not drill
# Tests run side by side, file by file: what a file's tests share is made once. More workers
# than cores, since some wait; the slow tests wait most, for processes that they start.
QUICK_WORKERS ?= 2
WORKERS ?= 3
SLOW_WORKERS ?= 7
PARALLEL := --dist loadfile --no-loadscope-reorder --numprocesses

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --python $(BIN)/python --no-python-downloads
# PySpark comes as source, so its build tools are locked too.
LOCKED := $(INSTALL) --require-hashes --constraints requirements.lock --requirements pyproject.toml \
  --preview-features build-dependency-hashes --require-build-hashes --build-constraints requirements.lock

# Compiling the kernels, on two cores.
WARM := $(MAKE) --silent --jobs 2 $(VENV)/warm-sequences $(VENV)/warm-reads_and_proteins

# The folder of dagster.yaml.
export DAGSTER_HOME := $(CURDIR)
# Bytecode is kept in .venv: compiling the imports again costs every process 2 s of CPU.
unexport PYTHONDONTWRITEBYTECODE
# Dagster's warnings about its own future, at every `asset materialize`.
export PYTHONWARNINGS := ignore::FutureWarning,ignore:Parameter

.DEFAULT_GOAL := help
.PHONY: help install run ui quick test adversary bench build docs site lock secrets test-compose test-slurm test-kubernetes test-wheel clean java

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed java  ## Install what the pipeline needs into .venv

# In a fresh clone the kernels have to be compiled. It begins while Dagster starts.
run: install  ## Materialise every asset and show the result
	@$(WARM) & warming=$$!; $(BIN)/opengenome run; status=$$?; wait $$warming; exit $$status

ui: install  ## Serve Dagster at http://127.0.0.1:3000 and the search at :3001 (PORT=..., SEARCH_PORT=... for others)
	@$(BIN)/opengenome ui --port $(PORT) --search-port $(SEARCH_PORT)

# What a commit is checked for. The tests without those that take long, those that compare with outside programs, and
# nine in ten of Hypothesis' examples; `make test` runs all. Types are checked meanwhile.
quick: $(VENV)/installed-dev  ## Lint, check types and rules of import, and run the quick tests (a minute)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check
	@$(BIN)/mypy & types=$$!; \
	$(BIN)/pytest $(PARALLEL) $(QUICK_WORKERS) --quiet -m 'not (slow or long or peer or adversary)' --hypothesis-profile quick --durations 5; \
	tests=$$?; wait $$types && exit $$tests

# Tracing for the coverage doubles the CPU time of a test. The floor is therefore reached without the slow tests.
# Kernels are compiled first: else each worker of a fresh clone compiles them. Types are checked, on one core, meanwhile.
test: $(VENV)/installed-dev java  ## Lint, check types, and run the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@$(BIN)/mypy & types=$$!; $(WARM) || exit; \
	$(BIN)/pytest $(PARALLEL) $(WORKERS) --durations 10 -m 'not slow and not adversary' --cov --cov-report=term-missing:skip-covered; quick=$$?; \
	wait $$types; typed=$$?; \
	$(BIN)/pytest $(PARALLEL) $(SLOW_WORKERS) --durations 20 -m 'slow and not adversary' && test $$quick$$typed = 00

adversary: $(VENV)/installed-dev  ## Try thousands of odd files and damages, and kills and walks (`make test` tries some)
	@$(BIN)/pytest -m adversary --quiet -s

bench: $(VENV)/installed-dev java  ## Measure speed and memory, or some ROWS of it (BASES=200000000 for the quick form); a row names the tools that it needs
	@$(BIN)/python -m benchmarks $(BASES) $(ROWS)

build: $(VENV)/installed  ## Build the sdist and the wheel into dist/
	rm -rf dist
	$(BIN)/uv build --quiet --offline --no-build-isolation --python $(BIN)/python --out-dir dist

docs: $(VENV)/installed  ## Write the pages of docs/ that are made from the code
	@$(BIN)/python -m docs.generate

site: $(VENV)/installed-dev  ## Build the site of docs/ into site/, without the network
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

lock: $(BIN)/uv  ## Write requirements.lock from pyproject.toml, keeping the versions that still fit
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
	  --all-extras --group dev --group build --group sbom --output-file requirements.lock pyproject.toml

# The folder is closed to other users. The files are open, since the containers' users have other numbers.
secrets:  ## Make the cluster's secrets, each once, in secrets/
	@mkdir -p -m 700 $(SECRETS)
	@for name in postgres_password spark_secret webhook_secret; do [ -s $(SECRETS)/$$name ] || \
	  (umask 222; od -An -tx1 -N32 /dev/urandom | tr -d ' \n' > $(SECRETS)/$$name); done
	@for name in hub_token search_token smtp_password; do [ -e $(SECRETS)/$$name ] || (umask 022; : > $(SECRETS)/$$name); done

export LAST
test-compose: $(VENV)/installed-dev java  ## Build the cluster's image, and test a cluster (SELECT=drill: what takes longer)
	$(BIN)/pytest --verbose --timeout 900 --durations 15 -m '$(SELECT)' opengenome_assets_tests/compose

export SIF
test-slurm: $(VENV)/installed-dev java  ## Build the SIF, and test jobs on a Slurm cluster of two nodes (SIF=... tests that one)
	$(BIN)/pytest --verbose --timeout 1900 --durations 15 opengenome_assets_tests/slurm

test-wheel: $(VENV)/installed-dev  ## Install the wheel for each Python that is here (PYTHON3_12=... names one), and test it in an empty folder
	$(BIN)/pytest --verbose --timeout 1900 --durations 15 opengenome_assets_tests/wheel

export IMAGE LOAD
test-kubernetes: $(VENV)/installed-dev  ## Build the image, and test the Helm chart in the cluster of KUBECONFIG (IMAGE=... tests that one)
	$(BIN)/pytest --verbose --timeout 1900 --durations 15 opengenome_assets_tests/kubernetes

clean:  ## Remove .venv and caches; data stays
	rm -rf $(VENV) *.egg-info build dist site .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache \
	  logs .logs_queue .tmp_dagster_home_*
	find opengenome_assets opengenome_assets_tests -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed, but $(PYTHON) is: $$($(PYTHON) --version 2>&1 | tail -n 1)." >&2; \
	  echo "Install one of them, or say where it is: PYTHON=/path/to/python3.11 make ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) lacks its modules venv and ensurepip." >&2; \
	  echo "Install them: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock | \
	  $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement /dev/stdin

# The setuptools just installed builds the package, without the network.
$(VENV)/installed: requirements.lock pyproject.toml | $(BIN)/uv
	$(LOCKED) --group build
	$(INSTALL) --quiet --offline --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(LOCKED) --group dev
	@touch $@

$(VENV)/warm-%: $(wildcard opengenome_assets/kernels/*.py) $(VENV)/installed
	@$(BIN)/python -c 'from opengenome_assets.kernels.warm import alone, $*; alone($*)'
	@touch $@

# Checked every time, since Java may come and go. A Python package replaces a missing Java.
java: $(VENV)/installed
	@$(BIN)/python -m opengenome_assets.engine.java >/dev/null 2>&1 || $(LOCKED) --extra java || true
	@$(BIN)/python -m opengenome_assets.engine.java
