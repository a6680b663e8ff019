# Two commands on a fresh machine: `make run` executes the course, `make test` checks it. Each target is a thin call
# of the `metalearn` command, which does the same without make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/complete
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help env data run test lab book doctor benchmark clean

help:
	@echo "make run        environment, data, every chapter executed into build/   (ARGS='04 --profile full')"
	@echo "make test       environment, lint, types, unit tests, notebook checks, nbval"
	@echo "make lab        environment, data, your own copies of the chapters in work/, JupyterLab"
	@echo "make book       the chapters as a static site in build/book/, readable without a network"
	@echo "make doctor     what is installed, what is missing, and the command that mends it"
	@echo "make benchmark  learners x corpora beside the published figures; speed and the meta-step beside other libraries"
	@echo "make clean      remove build/ and the environment (the data cache stays)"

env: $(STAMP)

# The stamp is written last and removed first, so that an interrupted installation is never taken for a complete one:
# without the stamp the environment is made anew, with an old stamp it is brought up to date.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "This course needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@if [ -e $(STAMP) ]; then rm $(STAMP); else $(PYTHON) -m venv --clear $(VENV); fi
	@echo "installing the packages of constraints.txt into $(VENV)/ (a few minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m pip check
	@touch $(STAMP)

data: env
	@$(BIN)/metalearn data make

run: data
	@$(BIN)/metalearn run $(ARGS)

test: data
	@$(BIN)/metalearn check $(ARGS)

lab: data
	@$(BIN)/metalearn lab $(ARGS)

book: env
	@$(BIN)/metalearn book $(ARGS)

doctor: env
	@$(BIN)/metalearn doctor

benchmark: data
	@$(BIN)/metalearn benchmark $(ARGS)
	@$(BIN)/python -m tests.benchmarks.meta_step $(filter --quick,$(ARGS))

clean:
	rm -rf build $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
