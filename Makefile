# Every target sets up what is missing first; the second time that costs nothing.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
ENV := .venv/.complete
CODE := sepl search_spaces jobs serve benchmarks tests
# a file's tests stay together, since they share what is dear to set up; each worker is a Python with torch and Ray in it
TEST := $(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist loadfile
# COVERAGE=1 also counts the lines that ran; the runs of one `.ci/run` add up
ifdef COVERAGE
TEST += --cov --cov-append --cov-report= --cov-fail-under=0
endif

.PHONY: help env demo test test-random test-slow coverage check format lock

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 18

env: $(ENV)  ## set up .venv, everything pinned

$(ENV): requirements.lock deploy/set_up.sh
	@bash deploy/set_up.sh

demo: $(ENV)  ## the whole way on a simulated cohort: prepare, search, publish, serve, score
	@PATH="$(CURDIR)/$(BIN):$$PATH" python -m jobs.demo

test: $(ENV)  ## the tests, without those marked slow
	@$(TEST) -m "not slow"

test-random: $(ENV)  ## the tests in an order of chance; the seed is printed, and SEED=N repeats it
	@$(TEST) -m "not slow" -p randomly $(if $(SEED),--randomly-seed=$(SEED))

test-slow: $(ENV)  ## the long tests
	@$(TEST) -m slow

coverage: $(ENV)  ## the share of lines that the runs with COVERAGE=1 reached; fails below the floor
	@$(BIN)/coverage report

check: $(ENV)  ## lint, format, types, import contracts
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

format: $(ENV)  ## format the code
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

lock: $(ENV)  ## resolve the dependencies of pyproject.toml anew
	$$(command -v uv || echo .uv/bin/uv) pip compile pyproject.toml --group dev --all-extras --universal --generate-hashes --python-version 3.11 -o requirements.lock
