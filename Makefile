# make demo    prune the embedded model twice, recover once, compare, judge, report
# make test    lint, type-check and test everything (minutes); make quick: only the default tier
# A CPU build of torch is enough: see README.md, "Which torch".

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
JOBS ?= 2
BIN := $(VENV)/bin
READY := $(VENV)/ready

# JOBS files of tests at a time, one thread each: the models are tiny, and threads would only wait for each other.
PYTEST := HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --durations=10

.PHONY: demo test quick lint clean

demo: $(READY)
	$(BIN)/secateur doctor --bring
	@echo '$(BIN)/secateur run demo'; $(BIN)/secateur run demo; code=$$?; if [ $$code -le 2 ]; then exit 0; else exit $$code; fi

test: lint quick
	$(PYTEST) -m slow -rs

quick: $(READY)
	$(PYTEST)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "secateur needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache
