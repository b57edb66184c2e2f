# `make` sets up and runs the default workflow; `make test` sets up and runs the tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: all setup test test-all report docs clean
all: setup
	$(BIN)/snakemake --cores all

setup: .venv/ready

test: .venv/ready-test
	$(BIN)/python -m pytest -m "not slow"

test-all: .venv/ready-test
	$(BIN)/python -m pytest

# The HTML report of the results that are there.
report: setup
	$(BIN)/snakemake --report report.html

# The tables of config/README.md, from config/schema.yaml.
docs: setup
	$(BIN)/python config/make_readme.py

clean:
	rm -rf .venv results logs .snakemake report.html

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/ready: envs/requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --requirement $<
	touch $@

.venv/ready-test: envs/requirements-test.txt .venv/ready
	$(BIN)/python -m pip install --quiet --requirement $<
	touch $@
