# make demo: environment, then the main job on the simulated cohort. make test: environment, then all checks and tests.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test unit lint bench trust env
.DEFAULT_GOAL := demo

env: $(READY)

# torch first and by itself: the pinned version decides which build comes, and nothing after it replaces it.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(READY)

demo: env
	$(BIN)/polydx demo --out runs/demo

lint: env
	$(BIN)/ruff check src tests benchmarks docs/tutorials
	$(BIN)/ruff format --check src tests benchmarks docs/tutorials
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: env
	$(BIN)/python -m pytest -q -n 2 -m "not slow"

test: lint
	$(BIN)/python -m pytest -q -n 2

trust: env
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/trust/run_all.py --write docs/trust.md

bench: env
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

.PHONY: docs
docs: env
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	$(BIN)/mkdocs build --strict
