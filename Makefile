# Everything is installed where it is missing: Python's packages into .venv, Meltano's plugins
# into .meltano.
VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/installed .meltano/installed

export MELTANO_CLI_DISABLE_VERSION_CHECK := 1

.PHONY: help demo test bench lint types check format docs sandbox clean
.DEFAULT_GOAL := help

help: ## show what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(INSTALLED) ## bring calls of both vendors from the sandbox into PostgreSQL, twice
	@$(PYTHON) -m sandbox.demo

test: $(INSTALLED) ## run all tests
	$(PYTHON) -m pytest

bench: $(VENV)/installed ## measure speed and memory against their goals
	$(PYTHON) -m benchmarks

lint: $(VENV)/installed ## look for mistakes in form
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.meltano meltano.yml

types: $(VENV)/installed ## look for mistakes in types
	$(VENV)/bin/mypy

check: lint types test ## all of these

format: $(VENV)/installed ## put the code into form
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

docs: $(VENV)/installed ## write anew what tells of the tap's settings and streams
	@$(PYTHON) -m documents

sandbox: $(VENV)/installed ## start both vendors and PostgreSQL, until interrupted
	@$(PYTHON) -m sandbox --page-size 1000 --database .sandbox/database

clean: ## remove everything that was made
	rm -rf $(VENV) .meltano .sandbox .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/uv: | scripts/make-venv
	scripts/make-venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/uv
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --editable . --group dev
	@touch $@

# Meltano by itself does not see that the tap's dependencies have changed.
.meltano/installed: pyproject.toml meltano.yml $(VENV)/installed
	$(VENV)/bin/meltano --log-level=warning install --clean tap-voicecalls target-postgres
	@touch $@
