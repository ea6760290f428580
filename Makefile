# `make conformance` judges the reference driver, `make test` runs the project's tests. Each works
# alone on a fresh clone: virtual environment, build, run; later runs reuse what is there.
#
# PYTHON  the interpreter to begin with (3.10 or later)
# ARGS    more arguments for `nnapi-testkit run` or pytest, as in make test ARGS='-k judge'
# SUITE   more arguments for the suite of `make test`, as in make test SUITE='--nnapi-operation CONV_2D'
PYTHON ?= python3
ARGS ?=
SUITE ?=

VENV := .venv
BIN := $(VENV)/bin
REPORT := build/report
# What a whole run must at least execute and compare; a selection in ARGS is not held to it.
FLOOR := $(if $(strip $(ARGS)),,$(wildcard ci/floor.json))
SUITE_FLOOR := $(if $(strip $(SUITE)),,$(wildcard ci/floor.json))
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CONSTRAINTS := -c ci/constraints.txt
EXTRAS := torch,pt2e,test,dev,adb,docker,android,litert,jumpstarter
NATIVE := CMakeLists.txt $(shell find emulator -type f \( -name '*.cpp' -o -name '*.c' \
	-o -name '*.h' -o -name '*.map' -o -name '*.cmake' -o -name CMakeLists.txt \))

.PHONY: conformance test build lint clean help
.DELETE_ON_ERROR:

conformance: build
	$(BIN)/nnapi-testkit run --jobs 2 --report $(REPORT) --overwrite $(addprefix --floor ,$(FLOOR)) $(ARGS)

# The suite against the reference driver first, then the project's own tests, a file of them on one
# worker. Their cache has a place of its own: ci/alone.sh reads there what failed.
test: build
	$(BIN)/python -m pytest --nnapi-suite --nnapi-profile strict --nnapi-jobs 2 \
		$(addprefix --nnapi-floor ,$(SUITE_FLOOR)) $(SUITE)
	$(BIN)/python -m pytest tests -n 2 --dist loadfile -o cache_dir=build/tests-cache $(ARGS)

build: $(VENV)/build.stamp

lint: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/import_order.py
	$(BIN)/python tools/generate_codes.py --check
	$(BIN)/python tools/generate_operations.py --check

clean:
	rm -rf build dist $(VENV)

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile
	@printf '\n%s\n' 'make conformance  judge the reference driver; report in build/report' \
		'make test         the suite under the strict profile, then the project'"'"'s tests' \
		'make build        virtual environment, driver and runner' \
		'make lint         style, types, import order, generated files' \
		'make clean        remove build, dist and the virtual environment'

# The machine is looked at first: a missing compiler is one clear line, before any download.
$(VENV)/tools.stamp: ci/constraints.txt
	@ci/check_machine.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install $(CONSTRAINTS) scikit-build-core cmake ninja
	@touch $@

# Only what changed is compiled again: the build folder stays. The stamp bears the time at which
# the build began, so that a file edited meanwhile counts as newer.
$(VENV)/build.stamp: pyproject.toml $(VENV)/tools.stamp $(NATIVE)
	@ci/check_machine.sh $(PYTHON)
	@touch $@.begun
	$(PIP) install $(CONSTRAINTS) --no-build-isolation --editable '.[$(EXTRAS)]'
	@mv $@.begun $@
