# Everything runs in .venv, made here from the lock files. Needs make and Python 3.11, 3.12 or 3.13, of which the first
# that works is taken: 3.11 before the others, since the tests run with it.
SUPPORTED := import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
READY := .venv/ready
# Without --no-compile pip compiles 280 MB of sources, of which a run imports a third; Python compiles those itself.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile
# Compiled files of the tests stay, whatever the environment says of them: compiling takes as long as importing.
TEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 pytest -m "not long and not cluster" -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: run test suite test-lowest test-long cluster-test cluster-test-long lint dry-run docs lock venv clean

## make run: the demo, from the corpus to the report
run: venv
	$(BIN)/python -m snakemake --profile profiles/local

## make test: linters, and beside them the whole test suite but the long tests, two files at a time
test: venv
	@$(MAKE) --no-print-directory --jobs=2 lint suite

suite: venv
	. $(BIN)/activate && $(TEST)

## make test-long: the tests that take minutes
test-long: venv
	. $(BIN)/activate && OMP_NUM_THREADS=1 pytest -m "long and not cluster"

## make cluster-test: the workflow on a real SLURM, started here as root with Debian's packages
cluster-test: venv
	. $(BIN)/activate && OMP_NUM_THREADS=1 pytest -m "cluster and not long" tests/cluster

## make cluster-test-long: what a cluster does to jobs: time limits, preemption, lost nodes, twenty variants
cluster-test-long: venv
	. $(BIN)/activate && OMP_NUM_THREADS=1 pytest -m "cluster and long" tests/cluster

## make test-lowest: the tests with the lowest versions that pyproject.toml admits, in .venv-lowest
test-lowest:
	$(PYTHON) -m venv --clear .venv-lowest
	sed -n 's/^  "\([a-z0-9-]*\)>=\([0-9.]*\)".*/\1==\2/p' pyproject.toml > .venv-lowest/lowest
	.venv-lowest/bin/pip install --quiet --disable-pip-version-check --constraint .venv-lowest/lowest --editable '.[dev]'
	. .venv-lowest/bin/activate && $(TEST)

## make lint: ruff, mypy, the order of the packages (import-linter), snakefmt and Snakemake's own linter
lint: venv
	. $(BIN)/activate && ruff check . && ruff format --check . && mypy && lint-imports && \
		snakefmt --check Snakefile workflow && snakemake --lint

## make dry-run: what each profile would run
dry-run: venv
	. $(BIN)/activate && snakemake --profile profiles/local --dry-run && \
		snakemake --profile profiles/delftblue --dry-run --config run=demo

## make docs: docs/configuration.md and config.schema.json, from the settings
docs: venv
	$(BIN)/python -m assertkd.settings.document

## make venv: the environment alone
venv: $(READY)

# torch is the build for CPUs where pip finds it, as on an index of pytorch.org; else PyPI's, on Linux with CUDA.
$(READY): requirements.lock requirements-torch.lock requirements-torch-cpu.lock pyproject.toml
	@$(PYTHON) -c '$(SUPPORTED)' 2>/dev/null || { \
		echo "Error: $(or $(PYTHON),PATH): no Python 3.11, 3.12 or 3.13 with its module venv"; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; } >&2
	$(PYTHON) -m venv .venv
	$(INSTALL) --require-hashes --requirement requirements-torch-cpu.lock 2>/dev/null || \
		$(INSTALL) --require-hashes --requirement requirements-torch.lock
	$(INSTALL) --require-hashes --requirement requirements.lock
	$(INSTALL) --no-build-isolation --editable .
	touch $@

## make lock: rewrite requirements.lock and requirements-torch.lock with the newest versions
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check uv
	.venv-lock/bin/uv pip compile --quiet --universal --fork-strategy fewest --generate-hashes --no-annotate --no-header \
		--extra dev --output-file .venv-lock/all pyproject.toml
	echo '# What `make venv` installs beside torch. Rewritten by `make lock` from pyproject.toml.' > requirements.lock
	echo '# torch as PyPI has it, on Linux with CUDA. Rewritten by `make lock` from pyproject.toml.' > requirements-torch.lock
	awk '/^[a-z]/ { lock = /^(torch=|cuda-|nvidia-|triton=)/ ? "requirements-torch.lock" : "requirements.lock" } \
		{ print >> lock }' .venv-lock/all
	rm -rf .venv-lock

## make clean: remove what runs and tests left; the environment stays
clean:
	rm -rf results/*/ logs .snakemake .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build \
		src/*.egg-info
