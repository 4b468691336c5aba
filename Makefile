# Two commands from a clean machine with Python 3.11+, git and make:  make nightly  and  make test
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# torch's own CUDA packages are left to pip: where a CPU build of torch is provided they are not wanted
CUDA := nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft \
  nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 \
  nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx cuda-bindings cuda-pathfinder cuda-toolkit triton

.PHONY: nightly test check fix setup docs lock base
.DEFAULT_GOAL := nightly

nightly: setup  ## one whole night: data, training, quantization, evaluation, gate, registry
	@$(BIN)/pawl nightly

setup: $(INSTALLED)  ## make .venv and install what requirements.lock names

$(INSTALLED): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing from requirements.lock (a few minutes the first time) …"
	@$(BIN)/python -m pip install --quiet --quiet -r requirements.lock
	@$(BIN)/python -m pip install --quiet --quiet --no-deps --no-build-isolation --editable .
	@touch $@

test: setup  ## all tests, fast ones first; each file in one process, a process a core
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder

check: setup  ## lint, format, types, import direction, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet

fix: setup  ## what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## serve the documentation on http://127.0.0.1:8000
	$(BIN)/mkdocs serve

lock:  ## rewrite requirements.lock from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --python-version 3.11 --universal --no-header --quiet \
	  $(CUDA:%=--no-emit-package %) --output-file requirements.lock

base: setup  ## pre-train the tiny base again (a quarter of an hour); its floats depend on the processor
	$(BIN)/python -m tasks.train.base
