# Everything that users and developers need, in one virtual environment per lock.
#   make bench            measure suites/digits.yaml and print the table
#   make test             run the tests
#   make tfmot            set up the environment of the TensorFlow Model Optimization Toolkit
#   make torch            set up the environment of PyTorch (several gigabytes)
#   make onnxruntime-gpu  set up the environment of ONNX Runtime on an NVIDIA GPU
#   make help             explain every target
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON  ?= python3
DEVICE  ?= auto
SUITE   ?= suites/digits.yaml
PROFILE ?= quick

# auto: an NVIDIA driver on this machine means the lock with CUDA.
HAS_GPU := $(if $(wildcard /proc/driver/nvidia/version /dev/nvidiactl),yes)
LOCK    := $(if $(filter gpu,$(DEVICE))$(and $(filter auto,$(DEVICE)),$(HAS_GPU)),gpu,cpu)
VENV    := $(if $(filter gpu,$(LOCK)),.venv-gpu,.venv)
BIN     := $(VENV)/bin
LOCK_ID := $(shell cat requirements/$(LOCK).txt pyproject.toml | sha256sum | cut -c1-16)-$(shell $(PYTHON) -c 'import sys; print(*sys.version_info[:3], sep=".")' 2>/dev/null)
STAMP   := $(VENV)/installed-$(LOCK_ID)
# The toolkit pins packages that conflict with ours, so its builds run in a separate environment.
TFMOT_STAMP := .venv-tfmot/installed-$(shell cat requirements/tfmot.txt pyproject.toml | sha256sum | cut -c1-16)
TORCH_STAMP := .venv-torch/installed-$(shell cat requirements/torch.txt pyproject.toml | sha256sum | cut -c1-16)
# cu13 needs driver 580; without a driver, and with an older one, the lock is that of CUDA 12, which every driver from 525 runs.
DRIVER   := $(shell sed -nE '1s/.* ([0-9]+)\.[0-9.]+ .*/\1/p' /proc/driver/nvidia/version 2>/dev/null)
ORT_CUDA ?= $(if $(DRIVER),$(shell [ "$(DRIVER)" -ge 580 ] && echo cu13 || echo cu12),cu12)
ORT_STAMP := .venv-onnxruntime-gpu/installed-$(shell cat requirements/onnxruntime-gpu-$(ORT_CUDA).txt pyproject.toml | sha256sum | cut -c1-16)

.PHONY: help bench test test-slow test-torch tfmot torch onnxruntime-gpu lint format benchmarks lock gpu-dry-run clean

help: ## explain every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  DEVICE=auto|cpu|gpu   auto: an NVIDIA driver means the GPU lock and the GPU cases   (now: $(LOCK) lock)"
	@echo "  SUITE=FILE            the suite of make bench                                       (now: $(SUITE))"
	@echo "  PROFILE=quick|standard|publish                                                      (now: $(PROFILE))"
	@echo "  ORT_CUDA=cu12|cu13    which ONNX Runtime for GPUs: cu13 needs driver 580                    (now: $(ORT_CUDA))"
	@echo "  PYTHON=COMMAND        Python 3.11, 3.12 or 3.13 for the virtual environment         (now: $(PYTHON))"

bench: $(STAMP) ## run SUITE at PROFILE, print the table and the path of the report
	@$(BIN)/harness run "$(SUITE)" --profile "$(PROFILE)" --device "$(DEVICE)"

test: $(STAMP) ## run the tests; they need no GPU, no network, no sensor
	@$(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow and not torch"  # a third worker, because tests wait for children

test-slow: $(STAMP) $(TFMOT_STAMP) ## run the slow tests: models trained and converted, the toolkit, a plug-in package
	@$(BIN)/python -m pytest -n 2 -m slow

test-torch: $(STAMP) $(TORCH_STAMP) ## run the tests that need PyTorch
	@$(BIN)/python -m pytest -n 2 -m torch

tfmot: $(TFMOT_STAMP) ## set up the environment of prune_low_magnitude, cluster_weights and quantization_aware

torch: $(TORCH_STAMP) ## set up the environment of the torch engine: PyTorch, torchvision, timm, torchao and converters

onnxruntime-gpu: $(ORT_STAMP) ## set up the environment of ONNX Runtime on an NVIDIA GPU, for the CUDA that the driver runs

lint: $(STAMP) ## run ruff (with docstrings), mypy (strict) and codespell (with design/glossary.txt)
	@$(BIN)/ruff format --check harness tests benchmarks examples
	@$(BIN)/ruff check harness tests benchmarks examples
	@$(BIN)/mypy
	@$(BIN)/codespell harness tests benchmarks examples suites docs design README.md CONTRIBUTING.md CHANGELOG.md Makefile pyproject.toml

format: $(STAMP) ## format the code with ruff
	@$(BIN)/ruff format harness tests benchmarks examples
	@$(BIN)/ruff check --fix harness tests benchmarks examples

benchmarks: $(STAMP) ## measure the harness itself, as ratios to known truth and to bare loops
	@$(BIN)/python -m benchmarks

# The stamp is written last: an environment without it is incomplete and is installed again, with the wheels in pip's cache.
$(STAMP):
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("$(PYTHON) is Python %d.%d" % v + (", for which TensorFlow has only a release candidate and the model optimization toolkit and litert-torch have nothing" if v > (3, 13) else ", which is too old") + ": use Python 3.11, 3.12 or 3.13, for example PYTHON=python3.13")' || { [ $$? -eq 1 ] && exit 2; echo "$(PYTHON) cannot be run: use, for example, PYTHON=python3.12" >&2; exit 2; }
	@echo "installing the $(LOCK) lock into $(VENV) (once; a few minutes)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(LOCK).txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

# An environment of its own, NAME of .venv-NAME and of requirements/NAME.txt (of onnxruntime-gpu NAME-$(ORT_CUDA).txt).
$(TFMOT_STAMP) $(TORCH_STAMP) $(ORT_STAMP): name = $(patsubst .venv-%/,%,$(dir $@))
$(TFMOT_STAMP) $(TORCH_STAMP) $(ORT_STAMP): lock = $(name)
$(ORT_STAMP): lock = $(name)-$(ORT_CUDA)
$(TFMOT_STAMP) $(TORCH_STAMP) $(ORT_STAMP): | $(STAMP)
	@echo "installing requirements/$(lock).txt into .venv-$(name) (once; a few minutes)"
	@rm -rf .venv-$(name)
	@$(BIN)/python -m venv .venv-$(name)
	@.venv-$(name)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(lock).txt
	@.venv-$(name)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lock: ## write requirements/*.txt from pyproject.toml again (needs uv)
	@for pair in cpu:tensorflow-cpu gpu:gpu; do \
	  uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header \
	    --extra $${pair#*:} --extra litert --extra onnxruntime --extra openvino --extra dev -o requirements/$${pair%:*}.txt; \
	done
	@for name in tfmot torch onnxruntime-gpu-cu12 onnxruntime-gpu-cu13; do \
	  uv pip compile requirements/$$name.in --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header -o requirements/$$name.txt; \
	done

gpu-dry-run: $(STAMP) ## resolve the GPU lock with its hashes, without installing it
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --dry-run --ignore-installed --require-hashes -r requirements/gpu.txt
	@echo "the GPU lock resolves"

clean: ## remove the virtual environments and caches of tools; results and the artifact cache stay
	rm -rf .venv .venv-gpu .venv-tfmot .venv-torch .venv-onnxruntime-gpu .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	find harness tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
