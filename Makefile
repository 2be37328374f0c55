# Two commands matter: `make run` and `make test`. Both set up what they need.

.DEFAULT_GOAL := help
.PHONY: help run test check tracker setup-run setup-dev clean

# The first of these that is Python 3.11 or newer; say PYTHON=… for another.
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3.15 python3 python; do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo "$$python"; exit; fi; done; echo python3)

VENV := .venv/bin
CODE := app.py chalicelib local tests
PYTEST := $(VENV)/python -m pytest -n 2 --dist loadgroup --max-worker-restart 4

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

run: setup-run ## Run everything on this machine (PORT, STATE_DIR), until Ctrl-C
	@exec $(VENV)/python -m local.run

test: setup-dev ## Run all tests, those in the browser too
	@$(VENV)/python -m local.chromium --install
	@$(PYTEST) --timeout 180

check: setup-dev ## The fast loop: format, lint, types, import contracts, fast tests
	@$(VENV)/ruff format --check $(CODE)
	@$(VENV)/ruff check $(CODE)
	@$(VENV)/mypy
	@$(VENV)/lint-imports
	@$(PYTEST) --timeout 60 -q -m "not browser and not ministack and not slow"

tracker: setup-dev ## Rebuild the tracker script from its source
	@$(VENV)/python -m local.tracker_build

setup-run:
	@$(PYTHON) local/bootstrap.py run

setup-dev:
	@$(PYTHON) local/bootstrap.py dev

clean: ## Remove the virtual environments and caches (not .local, the state)
	@rm -rf .venv .venv-ministack .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
