# `make` or `make help` explains the targets.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help setup demo train sample test test-all lint format wheel clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | \
	  while IFS="$$(printf '\t')" read -r target text; do printf '  make %-9s %s\n' "$$target" "$$text"; done

# The stamp is newer than pyproject.toml once everything in it is installed.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else \
	  f"facegan needs Python 3.11, 3.12 or 3.13, not {v[0]}.{v[1]}; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e ".[dev]"
	@touch $@

setup: $(VENV)/.installed ## Create .venv and install facegan for development

demo: $(VENV)/.installed ## Train on drawn faces, no download: up to five minutes on two cores
	$(BIN)/python -m facegan.train trainer.max_time=00:00:04:00 $(ARGS)

train: $(VENV)/.installed ## Train, e.g. make train ARGS="experiment=mnist_quick"
	$(BIN)/python -m facegan.train $(ARGS)

sample: $(VENV)/.installed ## Generate faces, e.g. make sample ARGS="ckpt=runs/... n=64"
	$(BIN)/python -m facegan.sample $(ARGS)

test: $(VENV)/.installed ## Run the fast tests: about a minute on two cores
	$(BIN)/python -m pytest -n auto --maxprocesses 4 $(ARGS)

test-all: $(VENV)/.installed ## Run all tests, the slow ones too
	$(BIN)/python -m pytest -m "slow or not slow" $(ARGS)

lint: $(VENV)/.installed ## Check style, formatting, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.installed ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.installed ## Build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## Remove .venv, builds and caches; runs/ and data/ stay
	rm -rf $(VENV) build dist .*_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
