# Everything that people do with this checkout. `make help` explains it; nothing but make and Python ≥ 3.11 has to be there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
# Every Python of ours runs in the virtual environment of requirements-dev.txt, made in the cache where it is missing.
RUN := $(PYTHON) scripts/in_venv.py
CLUSTER := $(RUN) -m tests.local_cluster
# More options for pytest, such as ARGS='-k decide -x'.
ARGS ?=

##@ See it
.PHONY: demo demo-stop kubeconfig
demo: ## A cluster, the operator, six mirrors that become Ready before your eyes
	@$(RUN) -m tests.demo up
demo-stop: ## End the demo and remove its cluster
	@$(RUN) -m tests.demo down
kubeconfig: ## Print the path of the demo cluster's kubeconfig
	@$(CLUSTER) kubeconfig --name demo

##@ Prove it
.PHONY: test lint
test: lint ## Everything: lint, then all tiers in one run with coverage, on a cluster of its own
	@scripts/test.sh --cov --cov-report=term:skip-covered $(ARGS)
lint: ## ruff, ruff format, mypy --strict, import-linter
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check --quiet || { echo 'fix: make format'; exit 1; }
	@$(RUN) -m mypy
	@$(RUN) -m mypy -p tests
	@$(RUN) -m mypy scripts
	@said="$$($(RUN) -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-cache)" \
	  || { echo "$$said"; exit 1; }; tail -n 1 <<< "$$said"

##@ One tier (ARGS='-k word -x' goes to pytest)
.PHONY: test-unit test-adapters test-transfer test-stand-ins test-webhook test-chart test-cluster test-e2e
test-unit: ## Pure functions and models, with nothing but Python
	@$(RUN) -m pytest tests/unit $(ARGS)
test-adapters: ## GitHub, OneDev and the cluster API, against the stand-ins
	@$(RUN) -m pytest tests/adapters $(ARGS)
test-transfer: ## Moving git data between the stand-ins, and the worker around it
	@$(RUN) -m pytest tests/transfer $(ARGS)
test-stand-ins: ## The stand-ins themselves
	@$(RUN) -m pytest tests/stand_ins $(ARGS)
test-webhook: ## The webhook pod: deliveries, forgeries, slow senders, a cluster that goes away
	@$(RUN) -m pytest tests/webhook $(ARGS)
test-chart: ## The chart as Helm renders it, and the manifests made of it
	@$(RUN) -m pytest tests/chart $(ARGS)
test-cluster: ## Against a real API server: the cluster itself, admission, the controller killed at every step
	@scripts/test.sh tests/cluster tests/local_cluster $(ARGS)
test-e2e: ## In pods, with the image
	@scripts/test.sh tests/e2e $(ARGS)

##@ Measure it (JSON=1 prints one object a line)
.PHONY: bench-transfer bench-stars bench-webhook bench-first-sync bench-push bench-memory bench-image
bench-transfer: ## The worker beside git on this machine (ARGS='big warm wide small huge start --rounds 5')
	@$(RUN) -m tests.load transfer $(ARGS)
bench-stars: ## Ten thousand stars and their mirrors, on the cluster of the tests (ARGS='--stars 1000')
	@$(RUN) -m tests.load stars $(ARGS)
bench-webhook: ## Deliveries to the webhook pod on one core, before the API server of the tests' cluster (ARGS='--one-in 1')
	@$(RUN) -m tests.load webhook $(ARGS)
bench-first-sync: ## Seconds from a created mirror to Ready, on the demo's cluster
	@$(RUN) -m tests.load first-sync
bench-push: ## Seconds from a push to equal refs in OneDev, with the webhook in pods on the cluster of the tests
	@$(RUN) -m tests.load push
bench-memory: ## Peak memory of controller and workers, on the demo's cluster
	@$(RUN) -m tests.load memory
bench-image: ## Size of the image
	@$(RUN) -m tests.load image

##@ Tools
.PHONY: cluster-up cluster-down image format help
cluster-up: ## The cluster of the tests, left running (then `make test-cluster` starts at once)
	@$(CLUSTER) up --name tests
cluster-down: ## Remove the cluster of the tests
	@$(CLUSTER) down --name tests
image: ## Build the operator's and the stand-ins' image
	@$(RUN) -c 'from tests.local_cluster import images; images.build(print)'
format: ## Format all Python
	@$(RUN) -m ruff check --fix --quiet
	@$(RUN) -m ruff format --quiet
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
