# Everything happens in .venv, which is made where it is missing.
# Meltano installs its plugins into .meltano by itself.
VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALL := $(VENV)/bin/python -m uv pip install --quiet --python $(PYTHON) --editable .

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test lint types check sandbox format clean
.DEFAULT_GOAL := help

help: ## show what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(VENV)/demo ## bring calls of both vendors from the sandbox into PostgreSQL, twice
	$(PYTHON) -m sandbox.demo

test: $(VENV)/dev ## run all tests
	$(PYTHON) -m pytest

lint: $(VENV)/dev ## look for mistakes in form
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.meltano meltano.yml

types: $(VENV)/dev ## look for mistakes in types
	$(VENV)/bin/mypy

check: lint types test ## all of these

format: $(VENV)/dev ## put the code into form
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

sandbox: $(VENV)/demo ## start both vendors and PostgreSQL, until interrupted
	$(PYTHON) -m sandbox --database .sandbox/database

clean: ## remove everything that was made
	rm -rf $(VENV) .meltano .sandbox .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(PYTHON): | scripts/make-venv
	scripts/make-venv $(VENV)

$(VENV)/demo $(VENV)/dev: pyproject.toml | $(PYTHON)
	$(INSTALL) --group $(@F)
	@touch $@
