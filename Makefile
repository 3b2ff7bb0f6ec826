# Two commands matter: `make up` and `make test`. Each installs whatever it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
MINUTES := 0
PEERS := default
REQUESTS := 1000
DESK := $(VENV)/.locked
LAB := .cache/lab
LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-header --quiet

export PATH := $(CURDIR)/$(BIN):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible/ansible.cfg
# Where the environment forbids bytecode, every process compiles all that it imports, which doubles the time that
# ansible-playbook takes to start.
unexport PYTHONDONTWRITEBYTECODE
# Ansible's own output, not redrawn in frames.
export MOLECULE_COMMAND_BORDERS := false
export MOLECULE_REPORT := false

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: $(DESK) ## Boot the lab host, provision it with ansible/site.yml, smoke-test it, print the URLs
	$(MAKE) --jobs=2 --output-sync bundle host
	molecule converge --scenario-name default
	SHILL_API_KEY=$$(cat $(LAB)/api-key) SHILL_API_AUTHORITY=$(LAB)/authority.pem \
		python -m flask_app smoke https://localhost:8443
	@printf '%s\n' '' \
		'API         https://localhost:8443, its documentation at /docs' \
		'Authority   $(LAB)/authority.pem: have your client, or browser, trust it' \
		'Key         $(LAB)/api-key' \
		'Ask         curl --cacert $(LAB)/authority.pem --header "Authorization: Bearer $$(cat $(LAB)/api-key)" \' \
		'                https://localhost:8443/model' \
		'Reports     http://127.0.0.1:8001/' \
		'Review      http://127.0.0.1:8002/' \
		'Prometheus  http://127.0.0.1:9090' \
		'Alerts      http://127.0.0.1:9093' \
		'Grafana     http://127.0.0.1:3000, where its image can be had' \
		'Provision   . .venv/bin/activate && cd ansible && ansible-playbook site.yml' \
		'Remove      make down'

# Without Molecule, which would skip the hosts that it has made before.
.PHONY: host
host: $(DESK) ## Boot the lab host, bare
	ansible-playbook --inventory inventory/lab molecule/shared/create.yml molecule/default/base_image.yml

.PHONY: bundle
# The lab's model is the one of this checkout, even if that of an earlier one may be better.
bundle: $(DESK) ## Train (or find) the model bundle that hosts are given
	version=$$(python -m flask_app train | tee >(cat >&2) | tail -n 1 | cut -d ' ' -f 1) \
		&& python -m flask_app model promote "$$version"

.PHONY: serve
serve: bundle ## Run the API alone, without Docker and keys, on http://127.0.0.1:8000
	SHILL_AUTHENTICATION=off exec python -m flask_app serve

.PHONY: wheel
wheel: $(DESK) ## Build the wheel and the source archive into dist/
	rm -rf dist
	uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist

.PHONY: demo
demo: $(DESK) ## Play a day on the lab of `make up`: drift, late labels, an alert that fires and clears
	python -m demo

.PHONY: drill
drill: $(DESK) ## Do to the lab what may happen to a host, under traffic; write docs/reliability.md (REQUESTS=100000)
	python -m drill --requests $(REQUESTS) --write-docs

.PHONY: dashboard-preview
dashboard-preview: $(DESK) ## Draw the dashboards from the lab's Prometheus into docs/images/ (MINUTES=10: the last ten)
	python -m grafana_provisioning.preview --minutes $(MINUTES)

.PHONY: down
down: $(DESK) ## Remove the lab host
	molecule destroy --scenario-name default

.PHONY: engine
engine: $(DESK) ## Find a Docker engine; as root on Debian, install and start one
	ansible-playbook molecule/shared/engine.yml

.PHONY: test
test: engine ## Run every test: lint, unit, integration, roles on real hosts (STAGES='unit guide': these stages)
	python tests/run.py $(STAGES)

.PHONY: unit
unit: $(DESK) ## Run the unit tests
	pytest --numprocesses logical tests/unit tests/docs

.PHONY: lint
lint: $(DESK) ## Check style, types, playbooks and workflows
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	ansible-lint
	zizmor --offline --strict-collection --pedantic --no-progress --quiet .github

.PHONY: sbom
sbom: engine ## Write bills of material (CycloneDX) of the images and of this environment into .cache/sbom
	python -m sbom

.PHONY: audit
audit: $(DESK) ## Look for advisories about what the lock files pin
	for lock in requirements.txt requirements/*.txt; do echo "$$lock"; \
		pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement "$$lock"; done

.PHONY: bench
bench: $(DESK) ## Measure the API beside its peers (PEERS=all: all of them), drift monitoring and its job; rewrite what the docs say of them
	python -m bench.serving --peers $(PEERS) --write-docs
	python -m bench.drift --write-docs
	python -m bench.drift_job
	python -m bench.score
	python -m bench.auctions
	python -m bench.keys

# Hosts see the new tag at the next site.yml. The base image names the snapshot that it was made of.
.PHONY: refresh
refresh: ## Pin the newest Debian base image and its snapshot in the Dockerfiles (an engine and a registry are needed)
	docker pull --quiet debian:trixie-slim
	digest=$$(docker image inspect --format '{{index .RepoDigests 0}}' debian:trixie-slim) \
		&& snapshot=$$(docker run --rm debian:trixie-slim grep -o -m 1 '[0-9]*T[0-9]*Z' /etc/apt/sources.list.d/debian.sources) \
		&& sed -i -e "s|^ARG BASE_IMAGE=.*|ARG BASE_IMAGE=debian:trixie-slim@$${digest#*@}|" \
			-e "s|^ARG DEBIAN_SNAPSHOT=.*|ARG DEBIAN_SNAPSHOT=$$snapshot|" flask_app/*/Dockerfile

.PHONY: lock
lock: $(DESK) ## Resolve the dependencies anew into the lock files
	$(LOCK) $(addprefix --extra ,serve train drift score review archive client) pyproject.toml \
		requirements/desk.in --output-file requirements.txt
	$(LOCK) --constraint requirements.txt --extra spark pyproject.toml \
		--output-file requirements/spark.txt
	$(LOCK) --constraint requirements.txt --extra serve pyproject.toml --output-file requirements/serve.txt
	$(LOCK) --constraint requirements.txt --extra drift pyproject.toml --output-file requirements/drift.txt
	$(LOCK) --constraint requirements.txt --extra review pyproject.toml --output-file requirements/review.txt
	$(LOCK) requirements/checkov.in --output-file requirements/checkov.txt
	$(LOCK) --constraint requirements.txt bench/serving/peers/fastapi/requirements.in \
		--output-file bench/serving/peers/fastapi/requirements.txt
	for framework in bentoml litserve mlflow mlserver; do \
		$(LOCK) bench/serving/peers/$$framework/requirements.in \
			--output-file bench/serving/peers/$$framework/requirements.txt; done

# pip installs uv, uv installs the rest: both only what the lock file's hashes admit.
$(DESK): requirements.txt
	@command -v python3 >/dev/null && python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
			|| { echo 'Python 3.11 or newer with venv is missing: install python3 and python3-venv' >&2; exit 1; }; \
		apt-get update --quiet=2 && apt-get install --quiet=2 --yes ca-certificates python3 python3-venv; }
	[ -x $(BIN)/python ] || python3 -m venv $(VENV)
	[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --require-hashes --no-deps \
		--requirement <(sed -n '/^uv==/,/# via/p' requirements.txt)
	$(BIN)/uv pip sync --quiet --python $(VENV) --require-hashes requirements.txt
	touch $@
