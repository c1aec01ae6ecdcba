# Targets install what they need: Python packages into .venv, Meltano plugins into .meltano, Apache
# Airflow into .airflow, and dbt and other Singer targets for the tests into .targets.
VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/installed .meltano/installed

# The lock file covers every supported Python and platform, and does not depend on a package index.
COMPILE := $(VENV)/bin/uv pip compile pyproject.toml --quiet --group dev --group picture --extra s3 \
	--universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-annotate \
	--custom-compile-command "make lock"

# Airflow and its Edge provider need Python 3.11, and other versions than the tap.
COMPILE_AIRFLOW := $(VENV)/bin/uv pip compile airflow/requirements.in --quiet --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	--custom-compile-command "make lock"

.PHONY: help demo airflow airflow-demo airflow-test test quick bench lint types check format docs picture hooks lock upgrade sandbox clean
.DEFAULT_GOAL := help

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(INSTALLED) ## sync both vendors from the sandbox into PostgreSQL, in full and incrementally
	@$(PYTHON) -m demo

airflow: .airflow/installed ## install Apache Airflow into .airflow

airflow-demo: $(INSTALLED) .airflow/installed ## load two years on Airflow with two workers, and run the hourly job
	@$(PYTHON) -m demo.airflow_demo

airflow-test: $(INSTALLED) .airflow/installed ## kill one of Airflow's two hosts during a backfill
	$(PYTHON) -m pytest --verbose --capture=no -m airflow tests/test_airflow.py tests/test_airflow_dags.py

test: $(INSTALLED) ## run all tests except those of airflow-test
	@$(PYTHON) -m tests.targets
	@$(PYTHON) -m tests.dbt_commands
	$(PYTHON) -m pytest --verbose --numprocesses=auto -p tests.parallel -m "not airflow"

quick: $(VENV)/installed ## run the tests that run no other programs
	$(PYTHON) -m pytest --numprocesses=auto -p tests.parallel \
		-m "not airflow and not meltano and not targets and not dbt and not programs"

bench: $(INSTALLED) ## measure speed and memory against the goals
	$(PYTHON) -m benchmarks

lint: $(VENV)/installed ## run the linters
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/codespell
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.meltano meltano.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(VENV)/bin/zizmor --offline --quiet --no-progress .github

types: $(VENV)/installed ## run mypy
	$(VENV)/bin/mypy

check: lint types test ## run the linters, mypy and all tests

format: $(VENV)/installed ## format the code and apply automatic fixes
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

docs: $(VENV)/installed ## generate the documentation of settings and streams
	@$(PYTHON) -m docgen

hooks: $(VENV)/installed ## install the pre-commit hooks
	$(VENV)/bin/pre-commit install

lock: | $(VENV)/bin/uv ## update requirements-dev.txt from pyproject.toml with minimal changes
	$(COMPILE) --output-file requirements-dev.txt
	$(COMPILE_AIRFLOW) --output-file airflow/requirements.txt

upgrade: | $(VENV)/bin/uv ## upgrade all versions in requirements-dev.txt
	$(COMPILE) --upgrade --output-file requirements-dev.txt
	$(COMPILE_AIRFLOW) --upgrade --output-file airflow/requirements.txt

picture: $(INSTALLED) ## redraw the chart in README.md from the sandbox's calls
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --group picture \
		--require-hashes --constraint requirements-dev.txt
	@$(PYTHON) -m demo.picture

sandbox: $(VENV)/installed ## serve both fake vendors and PostgreSQL until interrupted
	@$(PYTHON) -m demo.serve --page-size 1000 --database .sandbox/database

clean: ## remove everything that the other targets created
	rm -rf $(VENV) .airflow .meltano .sandbox .targets .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/uv: | scripts/make-venv
	scripts/make-venv $(VENV)

# Only packages in requirements-dev.txt, with their hashes, are installed.
$(VENV)/installed: pyproject.toml requirements-dev.txt | $(VENV)/bin/uv
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --requirement pyproject.toml --group dev \
		--extra s3 --require-hashes --constraint requirements-dev.txt \
		|| { echo "If requirements-dev.txt does not match pyproject.toml, run make lock" >&2; false; }
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --no-deps --editable .
	@touch $@

# Meltano does not notice changed dependencies of the tap. The target and dbt are not constrained,
# because they require other versions.
.meltano/installed: pyproject.toml meltano.yml $(VENV)/installed
	UV_CONSTRAINT=$(CURDIR)/requirements-dev.txt \
		$(VENV)/bin/meltano --log-level=warning install --clean tap-voicecalls
	$(VENV)/bin/meltano --log-level=warning install --clean target-postgres dbt-postgres
	@touch $@

.airflow/installed: airflow/requirements.txt | $(VENV)/bin/uv
	$(VENV)/bin/uv venv --quiet --clear --python ">=3.11,<3.15" .airflow
	$(VENV)/bin/uv pip install --quiet --python .airflow/bin/python --require-hashes \
		--requirement airflow/requirements.txt
	@touch $@
