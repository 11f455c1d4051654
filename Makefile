# Everything runs in .venv of this checkout, which the first target that needs it makes.

PYTHON ?= python3
BIN := .venv/bin
EXTRAS := openai,serve,text,report,langgraph,wandb,ray,sweep,local,docs,dev
STAMP := .venv/installed

# What the demo needs beside the core; the rest is for tests, documentation and other uses.
DEMO_EXTRAS := report
DEMO_STAMP := .venv/installed-demo

.PHONY: help venv demo results test check docs bench
.DEFAULT_GOAL := help

help:
	@echo "make demo    train and evaluate on the simulated world, in about a minute: a table and pictures; no key, no data"
	@echo "make results the tables of docs/results.md in the simulated worlds, all seeds (hours)"
	@echo "make test    every default test (ARGS='-m slow' for the slow ones)"
	@echo "make check   ruff, mypy, import-linter"
	@echo "make docs    the pages of docs/ as a site, build/docs/docs/index.html; every link is checked"
	@echo "make bench   measure speed"
	@echo "make venv    only the .venv, with every extra (PYTHON=python3.12 for another interpreter)"

venv: $(STAMP)

$(STAMP): WANTED := $(EXTRAS)
$(DEMO_STAMP): WANTED := $(DEMO_EXTRAS)
# The stamp comes last, so that an interrupted install is taken up again.
$(STAMP) $(DEMO_STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(f"gdesign needs Python 3.11 or newer and $(PYTHON) is {v}; try: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "Installing into .venv; the first time takes some minutes."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$(WANTED)]'
	@touch $@

demo: $(if $(wildcard $(STAMP)),$(STAMP),$(DEMO_STAMP))
	@HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/demo.py $(ARGS)

results: venv
	$(BIN)/python benchmarks/methods.py --write benchmarks/results/methods.md
	$(BIN)/python benchmarks/methods.py --world second --write benchmarks/results/methods_second.md
	$(BIN)/python benchmarks/samples.py --write benchmarks/results/samples.md
	$(BIN)/python benchmarks/gnn.py --write benchmarks/results/gnn.md

test: venv
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile $(ARGS)

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: venv
	$(BIN)/python -m sphinx -q -W --keep-going -b html -c docs . build/docs
	@echo "build/docs/docs/index.html"

bench: venv
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/executor.py
