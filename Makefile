# make demo and make test need nothing but Python 3.11 to 3.13; everything lives in .venv
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TESTS := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Many processes import the same modules, also where the environment asks Python to keep none compiled.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-all browser check format lock clean bench-identity estimate-parameters bench-convert bench-memory bench-load bench-merge bench-find

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + "; say make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	$(BIN)/fhir-gateway demo

test: $(READY)
	$(TESTS)

# With all orders, all types, thousands of cases of which `make test` tries a few.
test-all: $(READY)
	$(TESTS) -m ''

# The console in Chromium, which has to be on the PATH; Playwright has an environment of its own.
browser: $(READY) .venv-browser/.ready
	FHIR_GATEWAY_REQUIRE_BROWSER=1 $(BIN)/python -m pytest tests/browser

.venv-browser/.ready: requirements/browser.txt
	$(PYTHON) -m venv .venv-browser
	.venv-browser/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r $<
	@touch $@

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

# Who is who, side by side with other matchers, on invented rows; minutes. Splink has an environment of its own.
bench-identity: $(READY) .venv-linkage/.ready
	PYTHONPATH=. $(BIN)/python benchmarks/identity/bench.py --splink-python .venv-linkage/bin/python $(BENCH)

# What agreements weigh, counted over invented regions of three populations; a file as `identity estimate` writes it, on stdout.
estimate-parameters: $(READY)
	@$(BIN)/python benchmarks/identity/estimate.py $(ESTIMATE)

.venv-linkage/.ready: requirements/linkage.txt
	$(PYTHON) -m venv .venv-linkage
	.venv-linkage/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r $<
	@touch $@

# Rows a second to validated NDJSON, beside the same conversion with fhir.resources objects; some minutes.
bench-convert: $(READY)
	$(BIN)/python benchmarks/convert.py $(BENCH)

# Peak memory of the commands convert and load, for these numbers of rows; a quarter of an hour for a million and 100,000.
ROWS ?= 500000 1000000
LOAD_ROWS ?= 30000 100000
bench-memory: $(READY)
	$(BIN)/python benchmarks/memory.py --convert $(ROWS) --load $(LOAD_ROWS) $(BENCH)

# 10,000 rows into the embedded server and, where tests/real_server/install.sh has built it, HAPI FHIR, each beside a
# blind replay of the same bundles; three to five minutes.
bench-load: $(READY)
	PYTHONPATH=. $(BIN)/python benchmarks/load.py $(BENCH)

# Merging the duplicates of 68 NIKs beside two published algorithms; about three minutes.
bench-merge: $(READY)
	$(BIN)/python benchmarks/merge.py $(BENCH)

# Finding duplicates among PATIENTS invented ones; a minute for 100,000, some for a million.
PATIENTS ?= 100000
bench-find: $(READY)
	$(BIN)/python benchmarks/find.py --patients $(PATIENTS) $(BENCH)

# 200,000 doses to NDJSON, peak memory, and searches by 50 clients, beside a blind read of the same rows; four minutes.
bench-export: $(READY)
	$(BIN)/python benchmarks/export.py $(BENCH)
