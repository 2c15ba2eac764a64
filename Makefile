# Every command of the project. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup tour test lint types unit quick notebooks lab book format clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## the environment only, in .venv; quick when nothing changed

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: anonlib needs Python 3.11 or newer; name one: make setup PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python -c constraints.txt -e '.[dev]'
	@touch $@

tour: setup ## rebuild the paper's experiment on synthetic people; resumes when repeated
	$(BIN)/anonlib reproduce --profile laptop --out results/tour

test: lint types unit notebooks book ## every check there is

lint: setup ## style and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup ## mypy, strict
	$(BIN)/mypy

unit: setup ## tests and doctests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

quick: setup ## tests and doctests, without the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow"

notebooks: setup ## run the notebooks in the smoke profile and compare their checked cells
	ANONLIB_PROFILE=smoke OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
		--nbval-lax --nbval-current-env --durations=0 notebooks

lab: setup ## JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=notebooks

book: setup ## the course as static HTML in book/_build; runs no notebook
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[book]'
	$(BIN)/python -m recipes.link_notebooks --check
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -E -b html -c book notebooks book/_build
	@echo "open book/_build/README.html"

format: setup ## let ruff fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment, caches and the tour's results
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist book/_build book/jupyter_execute notebooks/api results/tour results/smoke
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
