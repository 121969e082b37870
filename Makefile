# Everything that users and developers need, in one virtual environment per lock.
#   make bench            measure suites/digits.yaml, or suites/gpu.yaml if there is an NVIDIA driver, and print the table
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
PROFILE ?= quick

# auto: an NVIDIA driver on this machine means the lock with CUDA.
HAS_GPU := $(if $(wildcard /proc/driver/nvidia/version /dev/nvidiactl),yes)
LOCK    := $(if $(filter gpu gpu:%,$(DEVICE))$(and $(filter auto,$(DEVICE)),$(HAS_GPU)),gpu,cpu)
VENV    := $(if $(filter gpu,$(LOCK)),.venv-gpu,.venv)
BIN     := $(VENV)/bin
SUITE   ?= suites/$(if $(filter gpu,$(LOCK)),gpu,digits).yaml
LOCK_ID := $(shell cat requirements/$(LOCK).txt pyproject.toml | sha256sum | cut -c1-16)-$(shell $(PYTHON) -c 'import sys; print(*sys.version_info[:3], sep=".")' 2>/dev/null)
STAMP   := $(VENV)/installed-$(LOCK_ID)
# Libraries that conflict with ours, or are large, have environments of their own: .venv-NAME from requirements/NAME.in, or NAME-cu12.in and
# NAME-cu13.in for two versions of CUDA. CUDA 13 needs driver 580; CUDA 12 runs on every driver from 525.
DRIVER := $(shell sed -nE '1s/.* ([0-9]+)\.[0-9.]+ .*/\1/p' /proc/driver/nvidia/version 2>/dev/null)
ORT_CUDA ?= $(if $(DRIVER),$(shell [ "$(DRIVER)" -ge 580 ] && echo cu13 || echo cu12),cu12)
LOCKS  := $(patsubst requirements/%.in,%,$(wildcard requirements/*.in))
ENVIRONMENTS := $(sort $(patsubst %-cu12,%,$(patsubst %-cu13,%,$(LOCKS))))
lock_of  = $(or $(filter $(1),$(LOCKS)),$(1)-$(ORT_CUDA))
stamp_of = .venv-$(1)/installed-$(shell cat requirements/$(call lock_of,$(1)).txt pyproject.toml | sha256sum | cut -c1-16)
$(foreach name,$(ENVIRONMENTS),$(eval STAMP_$(name) := $(call stamp_of,$(name))))
ENVIRONMENT_STAMPS := $(foreach name,$(ENVIRONMENTS),$(STAMP_$(name)))
SUBMAKE := $(MAKE) --silent --no-print-directory
PIP_INSTALL := -m pip install --disable-pip-version-check --progress-bar on

.PHONY: help bench environments test test-slow test-torch $(ENVIRONMENTS) lint format benchmarks lock gpu-dry-run clean

help: ## explain every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  DEVICE=auto|cpu|gpu   auto: GPU lock and GPU cases with a driver; gpu:UUID: one card  (now: $(LOCK) lock)"
	@echo "  SUITE=FILE            the suite of make bench                                       (now: $(SUITE))"
	@echo "  PROFILE=quick|standard|publish                                                      (now: $(PROFILE))"
	@echo "  ORT_CUDA=cu12|cu13    which ONNX Runtime for GPUs: cu13 needs driver 580            (now: $(ORT_CUDA))"
	@echo "  PYTHON=COMMAND        Python 3.11, 3.12 or 3.13 for the virtual environment         (now: $(PYTHON))"

bench: environments ## run SUITE at PROFILE, print the table and the path of the report
	@$(BIN)/harness run "$(SUITE)" --profile "$(PROFILE)" --device "$(DEVICE)"

environments: $(STAMP) ## set up the separate environments that SUITE needs
	@names=$$($(BIN)/harness plan "$(SUITE)" --device "$(DEVICE)" --environments); \
	for name in $$names; do \
	  case " $(ENVIRONMENTS) " in \
	    *" $$name "*) $(SUBMAKE) "$$name" ;; \
	    *) echo "the environment $$name is not one of ours: \`$(BIN)/harness doctor\` prints how to set it up" >&2 ;; \
	  esac; \
	done

test: $(STAMP) ## run the tests; they need no GPU, no network, no sensor
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow and not torch"  # a third worker, because tests wait for children; bytecode, because each compiles all tests

test-slow: $(STAMP) tfmot llama-cpp ## run the slow tests: models trained and converted, the toolkit, a plug-in package
	@$(BIN)/python -m pytest -n 2 -m slow

test-torch: $(STAMP) torch ## run the tests that need PyTorch
	@$(BIN)/python -m pytest -n 2 -m torch

tfmot: ## set up the environment of prune_low_magnitude, cluster_weights and quantization_aware

torch: ## set up the environment of the torch engine: PyTorch, torchvision, timm, torchao and converters

llama-cpp: ## set up the environment of llama.cpp's HTTP server (the wheel xllamacpp)

lm-eval: ## set up the environment of lm_eval, which evaluates served models (without PyTorch)

onnxruntime-gpu: ## set up the environment of ONNX Runtime on an NVIDIA GPU, for the CUDA that the driver runs

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
	@echo "installing $$(grep -c == requirements/$(LOCK).txt) packages of requirements/$(LOCK).txt into $(VENV) (once; a few minutes)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements/$(LOCK).txt
	@$(BIN)/python $(PIP_INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

.SECONDEXPANSION:
$(ENVIRONMENTS): $$(STAMP_$$@)

$(ENVIRONMENT_STAMPS): name = $(patsubst .venv-%/,%,$(dir $@))
$(ENVIRONMENT_STAMPS): lock = $(call lock_of,$(name))
$(ENVIRONMENT_STAMPS): | $(STAMP)
	@echo "installing $$(grep -c == requirements/$(lock).txt) packages of requirements/$(lock).txt into .venv-$(name) (once; minutes to tens of minutes)"
	@rm -rf .venv-$(name)
	@$(BIN)/python -m venv .venv-$(name)
	@.venv-$(name)/bin/python $(PIP_INSTALL) --no-deps --require-hashes -r requirements/$(lock).txt  # the lock is complete
	@.venv-$(name)/bin/python $(PIP_INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "installed .venv-$(name)"

lock: ## write requirements/*.txt from pyproject.toml again (needs uv)
	@for pair in cpu:tensorflow-cpu gpu:gpu; do \
	  uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header \
	    --extra $${pair#*:} --extra litert --extra onnxruntime --extra openvino --extra llm --extra dev -o requirements/$${pair%:*}.txt; \
	done
	@for name in $(LOCKS); do \
	  uv pip compile requirements/$$name.in --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header -o requirements/$$name.txt; \
	done

gpu-dry-run: $(STAMP) ## resolve the GPU lock with its hashes, without installing it
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --dry-run --ignore-installed --require-hashes -r requirements/gpu.txt
	@echo "the GPU lock resolves"

clean: ## remove the virtual environments and caches of tools; results and the artifact cache stay
	rm -rf .venv .venv-gpu $(ENVIRONMENTS:%=.venv-%) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	find harness tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
