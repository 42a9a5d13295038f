# Two commands for a newcomer: `make demo` and `make test`. Both install what they need first.
# While working: `make check`, the part of `make test` that takes about two minutes.
PYTHON ?= python3
# The versions that the project is tested with. Any torch >= 2.4 can be put in their place:
#   make install TORCH="torch==2.6.0 torchvision==0.21.0"
TORCH ?= torch==2.14.1 torchvision==0.29.1
FASTREID ?= fastreid==1.4.0

BIN := .venv/bin
# Processes that share the tests, each with one thread: by files, as tests of one file share what
# they made, and in the order of tests/conftest.py.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Written last, so that an interrupted installation is taken up again by the next make.
STAMP := .venv/installed

.PHONY: install demo test check lint types unit bench gpu clean

install: $(STAMP)

$(STAMP): setup.py Makefile
	@echo "== installing into .venv (several GB with torch)"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python >= 3.10 is needed")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(TORCH)
	$(BIN)/python -m pip install -e ".[dev]"
	$(BIN)/python -m pip install --no-deps $(FASTREID)
	$(BIN)/python -c "import torchvision, cv2, faiss, partialreid"
	@touch $@

demo: install
	@echo "== the demo: draw SyntheticPartial, train a small network on it, evaluate, show rankings"
	$(BIN)/partialreid train --config-file demo.yml
	$(BIN)/partialreid rankings --config-file demo.yml MODEL.WEIGHTS logs/demo/model_final.pth
	@echo "== done. Log: logs/demo/log.txt; checkpoint: logs/demo/model_final.pth;"
	@echo "   results: logs/demo/results.json; ranked lists: logs/demo/rankings/SyntheticPartial.html"

test: install lint types unit

check: install lint types
	@echo "== the tests that take seconds"
	$(PYTEST) -m "not slow"

lint: install
	@echo "== lint"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	@echo "== types"
	$(BIN)/mypy projects/PartialReID

unit: install
	@echo "== tests"
	$(PYTEST)

BENCHMARKS := distances ranking evaluation matching_stage network extraction peers shortlists freed_memory scale shards recall

bench: install
	@echo "== benchmarks, on an idle machine; results go to logs/bench/"
	for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name || exit 1; done

gpu: install
	@echo "== everything that needs a GPU, under eight minutes; results go to logs/gpu.json"
	@$(BIN)/python -m benchmarks.gpu

clean:
	rm -rf .venv build projects/PartialReID/*.egg-info *.egg-info .pytest_cache .ruff_cache .mypy_cache
