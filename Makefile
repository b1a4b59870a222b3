# One entry for every job; `make help` lists them.
PYTHON ?= python3.12
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.lock
STAMP := $(VENV)/.stamp
RUN_STAMP := $(VENV)/.run-stamp
LIVE_STAMP := $(VENV)/.live-stamp
# torch is several gigabytes: an environment of its own
ML_VENV := .venv-ml
ML_STAMP := $(ML_VENV)/.stamp

.DEFAULT_GOAL := help
.PHONY: help backtest local test test-ml check bench soak mutants clean lock

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@bash scripts/make_venv.sh $(VENV) $(PYTHON)

$(RUN_STAMP): $(BIN)/python requirements/run.lock pyproject.toml
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/run.lock
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

$(LIVE_STAMP): $(BIN)/python requirements/live.lock pyproject.toml
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/live.lock
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

$(STAMP): $(BIN)/python $(LOCK) pyproject.toml
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --require-hashes -r $(LOCK)
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@ $(RUN_STAMP) $(LIVE_STAMP)

backtest: $(RUN_STAMP) ## Run the main job: the month on xyz100
	$(BIN)/python run_backtest.py configs/xyz100_30d.yaml

local: $(LIVE_STAMP) ## Run the strategy live against a loopback venue for two minutes
	$(BIN)/python run_live.py configs/local.yaml

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest -q -m "not soak" -n 4 --dist loadfile

$(ML_STAMP): requirements/ml.lock pyproject.toml
	@test -x $(ML_VENV)/bin/python || bash scripts/make_venv.sh $(ML_VENV) $(PYTHON)
	@$(ML_VENV)/bin/python -m uv pip install --quiet --python $(ML_VENV)/bin/python --require-hashes -r requirements/ml.lock
	@$(ML_VENV)/bin/python -m uv pip install --quiet --python $(ML_VENV)/bin/python --no-deps -e .
	@touch $@

test-ml: $(ML_STAMP) ## Run the tests that train with torch (downloads gigabytes)
	OMP_NUM_THREADS=1 $(ML_VENV)/bin/python -m pytest -q tests/forecast

soak: $(STAMP) ## Run the long tests
	$(BIN)/python -m pytest -q -m soak

check: $(STAMP) ## Lint, types, import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP) ## Run the benchmarks
	$(BIN)/python -m benchmarks

mutants: $(STAMP) ## Break the code in named ways; each must turn a test red
	$(BIN)/python tests/mutants.py

lock: $(BIN)/python ## Compile the pinned sets again
	@bash scripts/make_locks.sh

# runs/ is kept: it holds the journals, halts and locks of paper and live runs, and the catalogue what was downloaded once
clean: ## Remove environments, builds and caches; runs and data stay
	rm -rf $(VENV) $(ML_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
