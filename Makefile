# `make` shows the targets. Everything runs from a virtual environment in .venv, made from the hash-locked requirements.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
# TORCH=system takes the torch of the image instead of the locked one (a GPU image often has its own build).
TORCH ?= locked
VENV := .venv
BIN := $(VENV)/bin
# uv from PATH, else by pip into a folder of its own, so that a system Python stays as it is.
UV := $(shell command -v uv || echo .uv/bin/uv)
# Compiled at once, so that the first start is not the slow one.
UV_PIP := VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --compile-bytecode
# pip's setting names the index for uv too, unless uv has its own.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
# Container images like to set it, but without kept bytecode every process of the tests compiles the whole program anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

.uv/bin/uv:
	@echo "uv is not on PATH; installing it into .uv by pip"
	$(PYTHON) -m venv .uv || { echo "$(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	.uv/bin/pip install --quiet uv

# The environment is made again when a lock changes or TORCH does.
STAMP := $(VENV)/.made-with-torch-$(TORCH)
$(STAMP): requirements.txt requirements-torch.txt pyproject.toml $(filter .uv/bin/uv,$(UV))
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=python3.11")'
	@echo "setting up $(VENV) (torch: $(TORCH))"
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(if $(filter system,$(TORCH)),--system-site-packages) $(VENV)
	$(UV_PIP) --require-hashes -r requirements.txt $(if $(filter locked,$(TORCH)),-r requirements-torch.txt)
	$(UV_PIP) --no-deps --editable .
	@if [ $(TORCH) = system ]; then $(BIN)/python -c 'import torch' || { echo "TORCH=system, but $(PYTHON) has no torch; leave TORCH out" >&2; exit 1; }; fi
	@rm -f $(VENV)/.made-with-* && touch $@

$(VENV)/.dev: $(STAMP) requirements-dev.txt
	$(UV_PIP) --require-hashes -r requirements-dev.txt
	@touch $@

.PHONY: setup
setup: $(STAMP) ## set up .venv from the locks

.PHONY: run
run: $(STAMP) ## start the service with the embedded defaults
	@exec $(BIN)/mgeo serve

.PHONY: stack
stack: $(STAMP) ## build the programs of the telemetry stack from pinned Go modules; cached outside the tree by their pins
	$(BIN)/mgeo stack build

.PHONY: up
up: $(STAMP) ## bring up the whole native stack; Ctrl-C ends it
	@exec $(BIN)/mgeo up --profile full

.PHONY: check
check: $(VENV)/.dev ## formatting, lint, types, import contracts, generated pages, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m service.reference --check
	$(BIN)/python -m grafana.dashboards --check
	$(BIN)/python -m prometheus.alerting --check
	$(BIN)/python -m dingtalk.reference --check
	$(BIN)/codespell

.PHONY: fix
fix: $(VENV)/.dev ## format, and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The quick tests make thousands of small stores; in memory they wait for no disk. Some tests run programs they wrote there.
IN_MEMORY := $(shell findmnt -nbo FSTYPE,AVAIL,OPTIONS -T /dev/shm 2>/dev/null | tail -n 1 | awk '$$1 == "tmpfs" && $$2 > 2^30 && $$3 !~ /noexec/ {print "TMPDIR=/dev/shm"}')
QUICK := $(IN_MEMORY) $(BIN)/python -m pytest -m "not slow and not stack and not faults" -n 2 -o tmp_path_retention_count=1

.PHONY: test-quick
test-quick: $(VENV)/.dev ## the quick tests: no server, no browser
	$(QUICK)

.PHONY: test
test: check ## all checks and tests but those of the running stack, with branch coverage
	$(QUICK) --cov --cov-report=
	$(BIN)/python -m pytest -m "slow and not stack and not faults" --cov --cov-append --cov-report=term --cov-fail-under=95

.PHONY: test-rules
test-rules: $(VENV)/.dev stack ## alert rules and routing in the real promtool, amtool, Prometheus and Alertmanager; a few minutes
	$(BIN)/python -m prometheus.alerting --check
	$(BIN)/python -m pytest tests/rules tests/unit/prometheus tests/inventory/test_rules.py --timeout 600

.PHONY: test-notifier
test-notifier: $(VENV)/.dev stack ## the notifier beside the real Prometheus and Alertmanager; a few minutes
	$(BIN)/python -m pytest -m stack tests/stack_notifier tests/e2e --timeout 600

.PHONY: test-drills
test-drills: $(VENV)/.dev stack ## fire drills that fit into CI: real faults in the real stack, minutes of three seconds; about eight minutes
	$(BIN)/python -m pytest -m stack tests/drills --timeout 1500

.PHONY: drills
drills: $(VENV)/.dev stack ## every fire drill, in a stack of its own; writes docs/drills/ and docs/benchmarks.md; about twenty minutes
	$(BIN)/python -m benchmarks drills

.PHONY: test-stack
test-stack: $(VENV)/.dev stack ## the running native stack: every signal, lookup, audit, gateway, both other profiles, short faults
	$(BIN)/python -m pytest -m stack tests/stack tests/contract --timeout 600

.PHONY: test-crash
test-crash: $(VENV)/.dev ## the notifier killed a thousand times at any moment, also while people are asked, and twenty times in each gap; about 15 minutes
	CRASHES=1000 $(BIN)/python -m pytest tests/e2e/test_notifier_crash.py tests/e2e/test_people_crash.py --timeout 3600

.PHONY: test-faults
test-faults: $(VENV)/.dev stack ## every fault of the running stack on each store alone, for a minute; about 40 minutes
	$(BIN)/python -m pytest -m faults --timeout 900

# Readable to any user, since the programs in the containers are others; the folder keeps them from everybody else here.
SECRETS := grafana_admin_password gateway_password ingest_token notifier_token
MAKE_SECRET := import os, secrets, sys; os.write(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o444), secrets.token_urlsafe(24).encode())
.PHONY: secrets
secrets: ## make the passwords for `docker compose` that are missing, in secrets/
	@install -d -m 700 secrets
	@for file in $(SECRETS:%=secrets/%); do [ -e $$file ] || { $(PYTHON) -c '$(MAKE_SECRET)' $$file && echo "made $$file"; }; done

# Training has packages of its own, in an environment of its own; two cores take about twenty minutes.
.venv-model/.made: requirements.txt requirements-torch.txt model/requirements.txt $(filter .uv/bin/uv,$(UV))
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-model
	VIRTUAL_ENV=.venv-model $(UV) pip install --quiet --require-hashes -r requirements.txt -r requirements-torch.txt -r model/requirements.txt
	@touch $@

.PHONY: model
model: .venv-model/.made ## train the embedded model anew, judge it, write its card
	.venv-model/bin/python -m model.train
	.venv-model/bin/python -m model.evaluate

.PHONY: bench
bench: $(VENV)/.dev stack ## measure, for over an hour; writes benchmarks/results.json
	$(BIN)/python -m benchmarks

.PHONY: docs
docs: $(VENV)/.dev ## write the generated references, dashboards and rules
	$(BIN)/python -m service.reference
	$(BIN)/python -m grafana.dashboards
	$(BIN)/python -m prometheus.alerting
	$(BIN)/python -m dingtalk.reference

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml
LOCK_MODEL := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements.txt -c requirements-torch.txt model/requirements.in
LOCK_NOTIFIER := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements.txt dingtalk/requirements.in
.PHONY: lock
lock: ## resolve the requirements anew, with hashes
	$(LOCK) -o requirements.txt
	$(LOCK) --extra torch -c requirements.txt -o requirements-torch.txt
	$(LOCK) --extra dev -c requirements.txt -c requirements-torch.txt -o requirements-dev.txt
	$(LOCK_MODEL) -o model/requirements.txt
	$(LOCK_NOTIFIER) -o dingtalk/requirements.txt

.PHONY: clean
clean: ## remove the environment and the caches; leaves var/ alone
	rm -rf $(VENV) .venv-model .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
