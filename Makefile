# make serve   sets up what the daemon needs and runs it; ARGS="..." are its options
# make test    sets up what the tests need, a JDK and Storm's jars included, and runs all
#
# PYTHON=... names the interpreter to begin with; STORM_PACEMAKER_CACHE=... is
# where Storm's jars are kept.

BIN := .venv/bin
STEP := @printf '==> %s\n'

.PHONY: help serve test setup lint types unit real format clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

serve:
	$(STEP) "setting up (tools/setup run)"
	@tools/setup run
	$(STEP) "running the daemon; Ctrl-C stops it"
	@exec $(BIN)/storm-pacemaker-py serve $(ARGS)

# The last line is pytest's own: of one run, the fast tests first.
test: setup lint types
	$(STEP) "tests: without I/O first, then with Storm's own clients and daemon"
	@REQUIRE_REAL=1 $(BIN)/python -m pytest $(ARGS)

setup:
	$(STEP) "setting up (tools/setup test)"
	@tools/setup test

lint: setup
	$(STEP) "formatter and linter (ruff)"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: setup
	$(STEP) "types (mypy --strict)"
	@$(BIN)/mypy

unit: setup
	$(STEP) "tests without I/O"
	@$(BIN)/python -m pytest -m "not real" $(ARGS)

real: setup
	$(STEP) "tests with Storm's own clients and daemon"
	@$(BIN)/python -m pytest -m real $(ARGS)

format: setup
	$(STEP) "formatting (ruff)"
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:
	$(STEP) "removing what was set up, fetched and built"
	@rm -rf .venv .cache build dist ./*.egg-info .mypy_cache .pytest_cache .ruff_cache
