# Everything is installed where it is missing: Python's packages into .venv, Meltano's plugins
# into .meltano.
VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/installed .meltano/installed

export MELTANO_CLI_DISABLE_VERSION_CHECK := 1

# For every Python and platform; and without the address of an index, so that it holds for any.
COMPILE := $(VENV)/bin/uv pip compile pyproject.toml --quiet --group dev --group picture --extra s3 \
	--universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-annotate \
	--custom-compile-command "make lock"

.PHONY: help demo test bench lint types check format docs picture hooks lock upgrade sandbox clean
.DEFAULT_GOAL := help

help: ## show what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(INSTALLED) ## bring calls of both vendors from the sandbox into PostgreSQL, twice
	@$(PYTHON) -m demo

test: $(INSTALLED) ## run all tests
	$(PYTHON) -m pytest

bench: $(VENV)/installed ## measure speed and memory against their goals
	$(PYTHON) -m benchmarks

lint: $(VENV)/installed ## look for mistakes in form
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/codespell
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.meltano meltano.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(VENV)/bin/zizmor --offline --quiet --no-progress .github

types: $(VENV)/installed ## look for mistakes in types
	$(VENV)/bin/mypy

check: lint types test ## all of these

format: $(VENV)/installed ## put the code into form
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

docs: $(VENV)/installed ## write anew what tells of the tap's settings and streams
	@$(PYTHON) -m docgen

hooks: $(VENV)/installed ## let git look for mistakes at each commit
	$(VENV)/bin/pre-commit install

lock: | $(VENV)/bin/uv ## let requirements-dev.txt fit pyproject.toml, with as few new versions as can be
	$(COMPILE) --output-file requirements-dev.txt

upgrade: | $(VENV)/bin/uv ## take the newest versions of everything into requirements-dev.txt
	$(COMPILE) --upgrade --output-file requirements-dev.txt

picture: $(INSTALLED) ## draw the README's picture anew, from the sandbox's calls
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --group picture \
		--require-hashes --constraint requirements-dev.txt
	@$(PYTHON) -m demo.picture

sandbox: $(VENV)/installed ## start both vendors and PostgreSQL, until interrupted
	@$(PYTHON) -m sandbox --page-size 1000 --database .sandbox/database

clean: ## remove everything that was made
	rm -rf $(VENV) .meltano .sandbox .targets .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/uv: | scripts/make-venv
	scripts/make-venv $(VENV)

# Whatever is not in requirements-dev.txt, with its hashes, is refused.
$(VENV)/installed: pyproject.toml requirements-dev.txt | $(VENV)/bin/uv
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --requirement pyproject.toml --group dev \
		--extra s3 --require-hashes --constraint requirements-dev.txt \
		|| { echo "If requirements-dev.txt no longer fits pyproject.toml: make lock" >&2; false; }
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --no-deps --editable .
	@touch $@

# Meltano by itself does not see that the tap's dependencies have changed. The target's are its own:
# it asks for other versions than we do.
.meltano/installed: pyproject.toml meltano.yml $(VENV)/installed
	UV_CONSTRAINT=$(CURDIR)/requirements-dev.txt \
		$(VENV)/bin/meltano --log-level=warning install --clean tap-voicecalls
	$(VENV)/bin/meltano --log-level=warning install --clean target-postgres
	@touch $@
