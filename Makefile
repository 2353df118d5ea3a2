# Works on a fresh machine with Python 3.11+ and make; node and npm, where present, add the contract
# rebuild and the tests against a real node. Everything runs offline once packages are installed.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
NPM    := $(shell command -v npm 2>/dev/null)
OUT    ?= runs/demo

.PHONY: demo test check bench contracts clean help

help:            ## what this file can do
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

demo: $(VENV)/.demo   ## run a whole job on real data and write its report
	$(BIN)/caduceus demo --out $(OUT)

test: $(VENV)/.dev contracts/node_modules/.ready check   ## run every check
	$(BIN)/pytest -n auto --dist worksteal

check: $(VENV)/.dev   ## formatter, linter, strict types, import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev   ## the scripts behind every claim of speed, memory or gas
	for script in bench/*.py; do $(BIN)/python $$script || failed=1; done; exit $${failed:-0}

contracts: contracts/node_modules/.ready   ## compile the contracts and update the committed artifacts
	cd contracts && npm run build

clean:           ## remove what these commands made
	rm -rf $(VENV) contracts/node_modules runs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# torch first and by its exact pin: a looser requirement would fetch gigabytes that nothing here uses.
$(VENV)/.torch: constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet $$(grep '^torch==' constraints.txt)
	touch $@

$(VENV)/.demo: pyproject.toml constraints.txt $(VENV)/.torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[demo]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/.demo

# Not `npm ci`: it insists on lock entries for every platform's anvil, also those that a registry does not carry.
contracts/node_modules/.ready: contracts/package-lock.json
ifeq ($(NPM),)
	@echo "npm is not on this machine: the contract rebuild and the tests against a real node will be skipped"
else
	cd contracts && npm install --no-save --silent
	touch $@
endif
