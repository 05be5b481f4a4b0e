# Needs python3 >= 3.11 and nothing else; everything is installed into .venv. `make help` lists the targets.

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.made
MEMBERS := protos services/kit services/store services/executor services/gateway services/mcp cli
PACKAGES := $(wildcard services/*/dipeo_*) cli/dipeo_cli
UV_VERSION := 0.13.9

export UV_PYTHON_DOWNLOADS := never
unexport PYTHONDONTWRITEBYTECODE  # start times depend on compiled bytecode

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format protos nightly conformance bench verify-compose clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP)  ## install everything into .venv

$(STAMP): uv.lock pyproject.toml $(MEMBERS:%=%/pyproject.toml)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test "$$($(BIN)/uv --version 2>/dev/null | cut -d' ' -f2)" = $(UV_VERSION) || $(BIN)/python -m pip install -q uv==$(UV_VERSION)
	$(BIN)/uv sync -q --frozen --compile-bytecode
	$(BIN)/python -m compileall -q $(PACKAGES) protos
	touch $@

run: setup  ## run an example end to end, offline
	@$(BIN)/dipeo run examples/branch_and_merge.light.yaml --mock-llm --progress plain

test: setup  ## run every test but the nightly ones
	$(BIN)/pytest -m "not nightly"

lint: setup  ## formatting, style, types, import walls, fresh stubs, contracts kept
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python protos/generate.py --check
	$(BIN)/python -m dipeo_gateway.reference docs/schema.graphql --check

format: setup  ## fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

protos: setup  ## generate gRPC stubs and docs/schema.graphql; refuses what breaks protos/contract.txt or the latter
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python protos/generate.py
	$(BIN)/python -m dipeo_gateway.reference docs/schema.graphql

nightly: setup  ## the long tests
	$(BIN)/pytest -m nightly

conformance: setup  ## run the official MCP suite against the MCP service (npx; fetches Node 24 where Node is older)
	$(BIN)/python services/mcp/tests/official/official_suite.py --any-node

bench: setup  ## measure against peers and print the figures
	for file in benchmarks/*.py; do $(BIN)/python "$$file" || exit 1; done

verify-compose: setup  ## build the images, run and kill the composed stack (needs a Docker engine)
	$(BIN)/python deploy/verify_compose.py

clean:  ## remove everything that was made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
