# Setting up talks on standard error: standard output is the command's own.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo test check test-slow model install uninstall clean

DEV := .venv-dev

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: ARGS ?= --once
demo: .venv/installed ## focus virtual microscopes; ARGS="--once --json --fields 50 --seed 7" as you like
	@.venv/bin/edge-af demo $(ARGS)

test: check ## what CI runs: the checks, then every test that is not slow
	$(DEV)/bin/pytest --numprocesses auto --dist loadfile

check: $(DEV)/installed ## linters, types, direction of imports
	$(DEV)/bin/ruff check
	$(DEV)/bin/ruff format --check
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports --no-logo

test-slow: $(DEV)/installed ## the tests that take minutes or train
	$(DEV)/bin/pytest -m slow

model: $(DEV)/installed ## make the shipped model again: render, train, convert (two and a half hours)
	PATH="$(CURDIR)/$(DEV)/bin:$$PATH" scripts/make_model.sh

install: ## the service under /opt/edge-af, started at boot: sudo make install (docs/service.md)
	@scripts/install.sh

uninstall: ## remove the service; settings and state stay, unless PURGE=1
	@scripts/install.sh --uninstall

clean: ## remove environments, caches and builds; runs/ stays
	rm -rf .venv .venv-tf212 $(DEV) .machines build dist *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# The device install, as on a Raspberry Pi.
.venv/installed: pyproject.toml scripts/make_venv.sh
	@scripts/make_venv.sh .venv --editable '.[pi]' >&2
	@touch $@

$(DEV)/installed: pyproject.toml scripts/make_venv.sh
	@scripts/make_venv.sh $(DEV) --editable '.[dev,train]' >&2
	@touch $@
