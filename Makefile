# Two commands matter: `make run` and `make test`. Both set up what they need.

.DEFAULT_GOAL := help
.PHONY: help run test check tracker conformance mutants attack bench deploy destroy setup-run setup-dev clean

# The first of these that is Python 3.11 or newer; say PYTHON=… for another.
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3.15 python3 python; do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo "$$python"; exit; fi; done; echo python3)

VENV := .venv/bin
CODE := app.py chalicelib deploy local tests
PYTEST := $(VENV)/python -m pytest -n 2 --dist loadgroup --max-worker-restart 4

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

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

conformance: setup-dev ## Replay 10,000 histories with crashes and disorder (HISTORIES, SEED)
	@$(VENV)/python -m tests.conformance

mutants: setup-dev ## Break the code in known ways and see that each is caught
	@$(VENV)/python -m tests.mutants

attack: setup-dev ## Fuzz the API with 20,000 requests (REQUESTS)
	@$(VENV)/python -m tests.attack

bench: setup-dev ## Measure speed, memory and cost; writes bench.json
	@$(VENV)/python -m local.bench

deploy: setup-dev ## Deploy to the AWS account of this shell (STAGE=…)
	@$(VENV)/python -m deploy up --stage "$(STAGE)"

destroy: setup-dev ## Remove a deployment; keeps its data unless DATA=delete (STAGE=…)
	@$(VENV)/python -m deploy down --stage "$(STAGE)" --data "$(DATA)"

setup-run:
	@$(PYTHON) local/bootstrap.py run

setup-dev:
	@$(PYTHON) local/bootstrap.py dev

clean: ## Remove the virtual environments and caches (not .local, the state)
	@rm -rf .venv .venv-ministack .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
