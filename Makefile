# Every command a maintainer needs. `make help` lists them. The environment is made on demand, from hashes.

# The Python of .venv, if it is there. Another one, as in `make test PYTHON=python3.13`, has .venv made anew.
PYTHON ?= $(or $(wildcard .venv/bin/python),python3)
BIN := .venv/bin
SETUP := .venv/.complete-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
LOCK := requirements-dev.lock
REDOCLY := @redocly/cli@2.77.0
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python

# Where it is set, each of the many processes of the tests would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

# Where the commands of tests find what they share with these.
TEST_MODULES := PYTHONPATH=tests/support:tests/backends

# The date of all files in an archive: that of the commit, so that it depends on nothing else.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1700000000)

.DEFAULT_GOAL := help
.PHONY: setup demo generate check-generated lint format typecheck test test-busy docs docs-links coverage gauntlet gauntlet-specs protocol kills faults soak fuzz-parsers bench bench-polling bench-scale ray mutants fuzz record check lint-spec lock build build-twice audit sbom clean help

help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Pip brings uv, by its own lines of the lock, and uv brings the rest, for which it needs a tenth of pip's time.
setup: $(SETUP) ## Make the development environment, .venv, with the longcat command in it.

$(SETUP): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "longcat needs Python 3.11 or later, and $(PYTHON) is older, or not there: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv --clear .venv
	@sed -n '/^uv==/,/[^\\]$$/p' $(LOCK) > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt
	$(INSTALL) --require-hashes --requirement $(LOCK)
	$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

demo: setup ## Start the sandbox, order a picture, wait for it, and save it.
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/demo.py

generate: setup ## Write the typed client, the documentation's cassettes, and what they show, from openapi.yaml.
	$(BIN)/python tools/generate.py
	$(BIN)/python tools/document_cassettes.py
	$(BIN)/python tools/demonstrate_drift.py

check-generated: setup ## Fail if what `make generate` writes is not what openapi.yaml gives.
	$(BIN)/python tools/generate.py --check
	$(BIN)/python tools/document_cassettes.py --check
	$(BIN)/python tools/demonstrate_drift.py --check

lint: setup ## Check the style, and the workflows.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/zizmor --offline --quiet --pedantic --strict-collection .github/workflows action.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions action.yml

format: setup ## Mend the style where a tool can.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

typecheck: setup ## Check the types, strictly.
	$(BIN)/mypy

test: setup ## Run every test. No network but loopback and, for the tests of installing, the package index.
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

test-busy: setup ## Run every test beside four busy loops, as on a machine that is busy with something else.
	@loops=; trap 'kill $$loops' EXIT; trap 'exit 130' INT TERM HUP; \
	for i in 1 2 3 4; do (ulimit -t 1800; while :; do :; done) & loops="$$loops $$!"; done; \
	$(MAKE) test

docs: setup ## Build the documentation into build/docs. A warning is an error.
	$(BIN)/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet -d .cache/doctrees docs build/docs

docs-links: setup ## Visit every link of the documentation that leads out of it. Needs the network.
	$(BIN)/sphinx-build --builder linkcheck --keep-going --quiet -d .cache/doctrees docs build/links

coverage: setup ## Run every test, and show which lines none of them reaches.
	$(BIN)/python -m coverage run -m pytest
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

gauntlet: setup ## Measure the drift check with every drift, beside schemathesis.
	$(BIN)/python tools/gauntlet.py --markdown docs/gauntlet.md

gauntlet-specs: setup ## Spoil made-up answers of others' contracts, or of SPECS=PATH..., N=20 operations of each, and count.
	$(BIN)/python tools/gauntlet_specs.py $(if $(N),--operations $(N)) $(or $(SPECS),--markdown docs/gauntlet-specs.md)

protocol: setup ## Try every way in which two or three workers can claim, order, note, be killed and be cut off.
	$(BIN)/python tools/protocol.py

kills: setup ## Kill batches, on one machine and on many, with faults on, and count what the gateway took. SEEDS="1 2" as well.
	$(BIN)/python tools/kills.py
	$(TEST_MODULES) $(BIN)/python tools/kills_many.py $(if $(SEEDS),--seeds $(SEEDS))

faults: setup ## Try every fault of a server, and every N-th exception from below (EVERY=N; all), with every client and call.
	$(TEST_MODULES) $(BIN)/python tools/run_faults.py
	$(TEST_MODULES) $(BIN)/python tools/run_leaks.py $(if $(EVERY),--every $(EVERY))

soak: setup ## Let programs work for MINUTES (10) under faults and kills: nothing may grow or get lost. SEED repeats a run; LEAK=memory must fail.
	$(TEST_MODULES) $(BIN)/python tools/soak.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(LEAK),--leak $(LEAK))

fuzz-parsers: setup ## Try inputs on every reader for SECONDS (300). One that fails is written into tests/corpus.
	$(TEST_MODULES) $(BIN)/python tools/fuzz_parsers.py $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

bench-polling: setup ## Measure when to ask next, beside other ways of polling. No clock, so it is quick.
	$(BIN)/python tools/bench_polling.py --write

BENCH := build/bench/.complete
BENCH_NODE := build/bench/node/.complete-$(notdir $(REDOCLY))

# Two environments, as a user would make them from the wheel: one without extras, and one with them, beside the peers.
$(BENCH): requirements-bench.lock | $(SETUP)
	for name in plain peers; do $(BIN)/uv venv --quiet --clear --python $(BIN)/python build/bench/$$name || exit 1; done
	$(BIN)/uv pip sync --quiet --python build/bench/peers/bin/python --require-hashes requirements-bench.lock
	@touch $@

# Without Node, the rows that compare with Redocly stay empty, and the next run tries again.
$(BENCH_NODE):
	@mkdir -p $(@D)
	npm install --silent --no-audit --no-fund --prefix $(@D) $(REDOCLY) && touch $@ || echo "$(REDOCLY) is not there"

bench: setup $(BENCH) $(BENCH_NODE) ## Measure how fast longcat is, beside its peers, or only ROWS=status,import. Takes ten minutes.
	@rm -rf build/bench/dist
	$(BIN)/python -m build --no-isolation --wheel --outdir build/bench/dist > build/bench/build.log
	for name in plain peers; do $(BIN)/uv pip install --quiet --python build/bench/$$name/bin/python \
	  --no-verify-hashes --constraints requirements-bench.lock --reinstall-package longcat-image build/bench/dist/*.whl || exit 1; done
	@PYTHONPATH=tools $(BIN)/python -m bench $(if $(ROWS),--rows $(ROWS)) $(if $(JSON),--json)

bench-scale: setup ## Measure batches on many workers, a million lines, and what one PostgreSQL does in a second. Takes five minutes.
	$(TEST_MODULES) $(BIN)/python tools/bench_scale.py

RAY := build/ray/.complete

# An environment of its own, as a user would make it from the wheel.
$(RAY): requirements-ray.lock | $(SETUP)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/ray
	$(BIN)/uv pip sync --quiet --python build/ray/bin/python --require-hashes requirements-ray.lock
	@touch $@

ray: setup $(RAY) ## Run the example with Ray: it feeds prompts to workers that share a journal, and reads the manifest.
	@rm -rf build/ray/dist
	$(BIN)/python -m build --no-isolation --wheel --outdir build/ray/dist > build/ray/build.log
	$(BIN)/uv pip install --quiet --python build/ray/bin/python --no-deps --reinstall-package longcat-image build/ray/dist/*.whl
	$(TEST_MODULES) $(BIN)/python tools/run_ray.py

mutants: setup ## Change the core in small ways, and see whether the tests notice. Takes a quarter of an hour or more.
	$(BIN)/python tools/mutants.py

fuzz: setup ## Test the sandbox with schemathesis for five minutes.
	$(BIN)/python tools/fuzz.py

record: setup ## With a key: ask the live service the questions of the drift check, and keep the answers.
	$(BIN)/longcat contract record --origin live --output cassettes/live

# What is drawn at random depends on the commit: each one tries something new, and the same one the same again.
check: lint typecheck check-generated docs test protocol kills ## Everything that must hold before a change lands.
	$(MAKE) faults EVERY=6
	seed=$$(printf %d 0x$$(git rev-parse --short=7 HEAD || echo 1)) && \
	  $(MAKE) soak MINUTES=2 SEED=$$seed && $(MAKE) fuzz-parsers SECONDS=30 SEED=$$seed

lint-spec: ## Check openapi.yaml with Redocly's and Spectral's rules. Needs Node.
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx --yes $(REDOCLY) lint openapi.yaml
	npx --yes --package=@stoplight/spectral-cli@6.16.3 spectral lint openapi.yaml --fail-severity=hint

lock: setup ## Pin anew what the development environment is made of.
	$(BIN)/uv pip compile pyproject.toml --extra all --group dev --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --output-file $(LOCK)
	$(BIN)/uv pip compile --group audit --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet \
	  --output-file requirements-audit.lock
	$(BIN)/uv pip compile pyproject.toml --extra contract --extra fast --group bench --universal --python-version 3.11 \
	  --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet \
	  --output-file requirements-bench.lock
	$(BIN)/uv pip compile pyproject.toml --extra cli --extra postgres --group ray --universal --python-version 3.11 \
	  --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet \
	  --output-file requirements-ray.lock

build: setup ## Build the wheel and the source archive into dist/.
	rm -rf dist
	$(BIN)/python -m build --no-isolation

build-twice: build ## Build what was committed once more, elsewhere and with other file modes: the bytes must be the same.
	rm -rf build/copy && (umask 077 && git clone --quiet . build/copy)
	$(BIN)/python -m build --no-isolation --outdir build/copy/dist build/copy
	cd dist && for file in *; do cmp "$$file" "../build/copy/dist/$$file" || exit 1; done

AUDIT := build/audit/.complete

$(AUDIT): requirements-audit.lock | $(SETUP)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/audit
	$(BIN)/uv pip sync --quiet --python build/audit/bin/python --require-hashes requirements-audit.lock
	@touch $@

audit: $(AUDIT) ## Look up every locked package in the database of known vulnerabilities. Needs the network.
	build/audit/bin/pip-audit --disable-pip --require-hashes --requirement $(LOCK)
	build/audit/bin/pip-audit --disable-pip --require-hashes --requirement requirements-audit.lock

sbom: build $(AUDIT) ## Write build/sbom.json, a CycloneDX list of what longcat is installed with.
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/sbom
	$(BIN)/uv pip install --quiet --python build/sbom/bin/python --no-verify-hashes --constraints $(LOCK) \
	  "$$(ls dist/*.whl)[all]"
	build/audit/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
	  --output-file build/sbom.json build/sbom/bin/python

clean: ## Remove everything that the other commands made.
	rm -rf .venv .cache build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
