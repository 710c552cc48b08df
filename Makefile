# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.PHONY: help demo test test-unit test-lab test-molecule test-all lint format bench venv setup lab-up lab-down lab-status

VENV = $(shell tests/setup.sh venv)
# A later command finds the collections, the virtual environment's programs and this checkout.
RUN = PATH="$(VENV)/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/.ansible/collections" PYTHONPATH="$(CURDIR)"
# Labs at a time: tests wait for nodes more than they compute, so three keep two cores busy. In the order of their
# names the long files come first.
LABS = 3
LAB_TESTS = $(PYTEST) -q -n $(LABS) --dist loadfile --no-loadscope-reorder tests/integration
PYTEST = $(RUN) python -m pytest -p no:cacheprovider

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: setup ## three nodes with real kernels, the incident, the audit that finds it
	@$(RUN) python -m tests.demo

test: setup test-unit test-lab ## unit and contract tests, then a happy and a failing path per role in the lab

test-unit: venv ## what needs neither root nor nodes
	@$(PYTEST) -q -n auto --dist loadfile -m "not full" tests/unit tests/contract

test-lab: setup ## what needs real kernels
	@$(LAB_TESTS) -m "not full"

test-molecule: setup ## the roles' scenarios
	@$(RUN) tests/molecule.sh

test-all: setup ## every scenario
	@$(PYTEST) -q -n auto --dist loadfile tests/unit tests/contract
	@$(LAB_TESTS) -m "not full"
	@$(RUN) tests/molecule.sh
	@$(LAB_TESTS) -m full

lint: venv ## ruff, mypy, ansible-lint, ansible-test sanity, antsibull-docs, galaxy-importer
	@$(RUN) tests/lint.sh

format: venv ## let ruff rewrite the Python files
	@$(RUN) ruff format . && $(RUN) ruff check --fix .

bench: setup ## measurements beside what users would use instead
	@$(RUN) python -m tests.bench

lab-up: setup ## three nodes and the API, left running
	@$(RUN) python -m tests.lab up --nodes 3 --api

lab-down: ## remove every lab of this machine: processes, namespaces, mounts, taps
	@$(RUN) python3 -m tests.lab down --all

lab-status: ## what runs
	@$(RUN) python3 -m tests.lab status

venv: ## virtual environment and collections only (no root needed)
	@tests/setup.sh python

setup:
	@tests/setup.sh all
