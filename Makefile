# Every command of the project. `make setup` is part of each and costs nothing the second time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VENDOR := portal/static/vendor
CATALOGUES := $(wildcard portal/translations/*/LC_MESSAGES/messages.po)
# the machine's npm, or the one that the lock brings
NPM = $(shell command -v npm || echo "env PATH=$(CURDIR)/$(BIN):$$PATH $(CURDIR)/$(BIN)/npm")

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench rows shots check lint types messages lock

help:  ## what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: $(VENV)/.installed $(VENDOR)/.installed $(CATALOGUES:.po=.mo)  ## Python packages and browser assets, exactly as locked

$(VENV)/.installed: pyproject.toml .ci/constraints.txt
	@echo "Installing Python packages into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r .ci/constraints.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --no-index \
		--config-settings editable_mode=compat --editable .
	@touch $@

$(VENDOR)/.installed: package.json package-lock.json | $(VENV)/.installed
	@echo "Putting browser assets into $(VENDOR)"
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@rm -rf $(VENDOR) && mkdir -p $(VENDOR)
	@cp node_modules/htmx.org/dist/htmx.min.js $(VENDOR)/
	@cp node_modules/accessible-autocomplete/dist/accessible-autocomplete.min.js $(VENDOR)/
	@cp node_modules/accessible-autocomplete/dist/accessible-autocomplete.min.css $(VENDOR)/
	@cp node_modules/vanilla-calendar-pro/index.js $(VENDOR)/vanilla-calendar-pro.js
	@cp node_modules/vanilla-calendar-pro/styles/layout/core.css $(VENDOR)/vanilla-calendar-pro.css
	@cp node_modules/idb/build/umd.js $(VENDOR)/idb.js
	@cp node_modules/signature_pad/dist/signature_pad.umd.min.js $(VENDOR)/signature_pad.min.js
	@mkdir -p $(VENDOR)/letters && cp node_modules/@fontsource/*/files/*-400-normal.woff node_modules/@fontsource-variable/*/files/*-wght-normal.woff2 $(VENDOR)/letters/
	@for family in node_modules/@fontsource/* node_modules/@fontsource-variable/*; do cp "$$family/unicode.json" "$(VENDOR)/letters/$${family##*/}.json"; done
	@mkdir -p $(VENDOR)/leaflet && cp -r node_modules/leaflet/dist/leaflet.js node_modules/leaflet/dist/leaflet.css node_modules/leaflet/dist/images $(VENDOR)/leaflet/
	@touch $@

%.mo: %.po | $(VENV)/.installed
	@$(BIN)/pybabel -q compile -i $< -o $@

demo: setup  ## the whole product with example data, on one address (PORT to choose another)
	@$(BIN)/portal demo

# One more than the cores it is meant for: who drives a browser or asks PostgreSQL mostly waits. Each of them and every
# process that a test starts would compile everything anew where the machine forbids Python to keep what it compiled.
test: setup  ## every test on both databases; ARGS="tests/domain -k move" narrows
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist worksteal -rfExX $(ARGS)

bench: setup  ## the office's pages against their peers; BENCH_JOBS=1000000 for more data
	@$(BIN)/python -m tests.bench $(ARGS)

rows: setup  ## each row of the product with its tests
	@$(BIN)/python -m tests.rows

shots: setup  ## a picture of every screen
	@$(BIN)/python -m tests.shots

check: lint types test  ## what CI checks

lint: setup  ## style, format, direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: setup  ## types, strict in portal/domain
	@$(BIN)/mypy

# Obsolete messages go, nothing is guessed: what is new is empty until somebody translates it. Dates and names that
# Babel would write into the head change with every run and say nothing.
messages: setup  ## bring the catalogues of translations up to what the code says
	@$(BIN)/pybabel -q extract -F .babel.cfg -k sentence -k lazy_gettext -k lazy_pgettext:1c,2 --add-location=file \
		--no-wrap -o $(VENV)/messages.pot .
	@for catalogue in $(CATALOGUES); do \
		$(BIN)/pybabel -q update --no-fuzzy-matching --ignore-obsolete --no-wrap -i $(VENV)/messages.pot \
			-l "$$(basename "$${catalogue%/LC_MESSAGES/*}")" -o "$$catalogue" || exit 1; \
		sed -i -E '/^"(Project-Id-Version|Report-Msgid-Bugs-To|POT-Creation-Date|PO-Revision-Date|Last-Translator|Language-Team|Generated-By):/d' "$$catalogue"; \
	done
	@$(MAKE) -s setup

# uv, because one file has to serve Python 3.11 to 3.13; --no-config and --no-emit… keep anybody's own package settings out
lock:  ## write both lock files anew from pyproject.toml and package.json
	@test -x $(VENV)/lock/bin/uv || { $(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/python -m pip install -qq uv; }
	@$(VENV)/lock/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --fork-strategy fewest \
		--extra dev --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
		--output-file .ci/constraints.txt pyproject.toml
	@npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error
