# make demo    prune the embedded model twice, compare, judge, report
# make test    lint, type-check and test everything (minutes); make quick: only the default tier
# A CPU build of torch is enough: see README.md, "Which torch".

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: demo test quick lint clean

demo: $(READY)
	$(BIN)/secateur doctor --bring
	@echo '$(BIN)/secateur run demo'; $(BIN)/secateur run demo; code=$$?; if [ $$code -le 2 ]; then exit 0; else exit $$code; fi

test: lint quick
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m slow -rs --durations=10

# One thread: the models are tiny, and threads would only wait for each other.
quick: $(READY)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest --durations=10

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
