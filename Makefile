# `make` sets up and runs the default workflow; `make test` sets up and runs the tests.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal

.PHONY: all setup test test-all report explain docs benchmark clean
all: setup
	$(BIN)/snakemake --cores all

setup: .venv/ready

test: .venv/ready-test
	$(PYTEST) -m "not slow"

test-all: .venv/ready-test
	$(PYTEST)

# The HTML report of the results that are there.
report: setup
	$(BIN)/snakemake --report report.html

# What a table or model was made of: make explain FILE=results/langevin/b/samples.parquet
explain: setup
	@PYTHONPATH=scripts $(BIN)/python -m scoredag.job.record $(FILE)

# The tables of docs/keys.md and the graph of docs/graph.md.
docs: setup
	$(BIN)/python docs/make_pages.py

# CSDI beside PyPOTS' CSDI, in a venv of its own (benchmarks/README.md).
benchmark: .venv-bench/ready
	.venv-bench/bin/python benchmarks/csdi.py

clean:
	rm -rf .venv .venv-bench results logs .snakemake report.html

.venv/bin/python .venv-bench/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(@:/bin/python=)

.venv/ready: envs/requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --requirement $<
	touch $@

.venv/ready-test: envs/requirements-test.txt .venv/ready
	$(BIN)/python -m pip install --quiet --requirement $<
	touch $@

.venv-bench/ready: benchmarks/requirements.txt envs/requirements.txt | .venv-bench/bin/python
	.venv-bench/bin/python -m pip install --quiet --requirement $<
	touch $@
