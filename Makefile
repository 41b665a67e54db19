# Everything runs in .venv, made here from requirements.lock. Needs Python 3.11 and make.
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/ready

.PHONY: run test test-long cluster-test cluster-test-long lint dry-run docs lock venv clean

## make run: the demo, from the corpus to the report
run: venv
	. $(BIN)/activate && snakemake --profile profiles/local

## make test: linters and the whole test suite but the long tests, two files at a time
test: lint
	. $(BIN)/activate && OMP_NUM_THREADS=1 pytest -m "not long and not cluster" -n 2 --dist loadfile --no-loadscope-reorder

## make test-long: the tests that take minutes
test-long: venv
	. $(BIN)/activate && OMP_NUM_THREADS=1 pytest -m "long and not cluster"

## make cluster-test: the workflow on a real SLURM, started here as root with Debian's packages
cluster-test: venv
	. $(BIN)/activate && OMP_NUM_THREADS=1 pytest -m "cluster and not long" tests/cluster

## make cluster-test-long: what a cluster does to jobs: time limits, preemption, lost nodes, twenty variants
cluster-test-long: venv
	. $(BIN)/activate && OMP_NUM_THREADS=1 pytest -m "cluster and long" tests/cluster

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

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

## make lock: rewrite requirements.lock with the newest versions of what pyproject.toml names
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-lock/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	{ echo "# Every package with its version: what \`make venv\` installs. Rewritten by \`make lock\` from pyproject.toml."; \
		.venv-lock/bin/pip freeze --exclude-editable | sed 's/+cpu$$//'; } > requirements.lock
	rm -rf .venv-lock

## make clean: remove what runs and tests left; the environment stays
clean:
	rm -rf results/*/ logs .snakemake .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build \
		src/*.egg-info
