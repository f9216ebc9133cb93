# `make help` lists what can be made. The variables of fer_utils/paths.py (FER_DATA, FER_WEIGHTS, …) can be given on the command line or in the environment.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The interpreter that makes .venv. Without one named, the first of these that is 3.11, 3.12 or 3.13.
PYTHON ?=
CANDIDATES := $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11)
# Notebooks to run or render, by name (`NOTEBOOKS="01_eda 06_lime"`); all of them without.
NOTEBOOKS ?=
OUT ?= out
# Which tests `make test` runs, as pytest's -m takes it.
TESTS ?= not slow
# What `make demo` shows: the webcam, or the embedded clip where there is none (SOURCE=talk.mp4 for a video of yours).
SOURCE ?= $(if $(wildcard /dev/video*),0,clip)
SCREEN := $(DISPLAY)$(WAYLAND_DISPLAY)

# Without a screen there must be something to show for it. A camera's pictures are stored only when asked for.
HEADLESS = --headless --csv "$(OUT)/demo.csv" $(if $(filter-out 0,$(SOURCE)),--output "$(OUT)/demo.mp4")

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# The other packages of the benchmark: environments of their own, since they do not agree with ours.
BENCH := .venv-bench

export PYTHONUNBUFFERED := 1

.PHONY: help run test render demo lab train data weights bench lint report clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV): $(READY) ## (file) the environment

# Only when requirements.txt or the script changes: `make run` a second time installs nothing.
$(READY): requirements.txt tools/setup_venv.py
	@for candidate in $(CANDIDATES); do \
	  if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	    "$$candidate" tools/setup_venv.py $(VENV); touch $@; exit; \
	  fi; \
	done; \
	echo "error: Python 3.11, 3.12 or 3.13 is needed; tried: $(CANDIDATES)." >&2; \
	echo "       Debian 12 and later, Ubuntu 24.04: apt-get install python3 - or name one: make run PYTHON=/path/to/python" >&2; \
	exit 1

run: $(READY) ## everything: all notebooks into out/, then the demo on the embedded clip
	@$(PY) -m tools.run_notebooks run --out "$(OUT)" $(NOTEBOOKS)
	@echo "real-time demo on the embedded clip"
	@$(PY) -m fer_utils.realtime --source clip --headless --output "$(OUT)/demo.mp4" --csv "$(OUT)/demo.csv"
	@echo
	@echo "notebooks  $(OUT)/*.html (to read), $(OUT)/*.ipynb (executed)"
	@echo "figures    $(OUT)/figure/"
	@echo "demo       $(OUT)/demo.mp4, $(OUT)/demo.csv"
	@echo "next       make demo (your webcam), make lab (the notebooks in Jupyter)"

test: $(READY) ## the test suite without the tests marked slow (those: make test TESTS=slow)
	@$(PY) -m pytest -m "$(TESTS)" $(PYTEST_ARGS)

render: $(READY) ## execute the notebooks in place; needs the real FER2013
	@$(PY) -m tools.run_notebooks render $(NOTEBOOKS)

demo: $(READY) ## the real-time demo: the webcam, or the embedded clip where there is none
	@mkdir -p "$(OUT)"
	@$(PY) -m fer_utils.realtime --source "$(SOURCE)" $(if $(SCREEN),,$(HEADLESS)) $(DEMO_ARGS)

lab: $(READY) ## open the notebooks in JupyterLab
	@$(PY) -m jupyterlab notebooks

train: $(READY) ## from initial weights to a listed ONNX file: make train MODEL=mobilenet_v3_large
	@$(PY) -m fer_utils.training "$(MODEL)" --publish $(TRAIN_ARGS)

data: $(READY) ## FER2013 as JPEGs from Kaggle (msambare/fer2013, 60 MB) into kagglehub's cache, where it is found
	@$(PY) -c "import kagglehub; print(kagglehub.dataset_download('msambare/fer2013'))"

weights: $(READY) ## initial weights for a machine without internet access, into weights/ or FER_WEIGHTS
	@$(PY) -m tools.initial_weights $(WEIGHTS_ARGS)

# What fails to install does not stop the run: the table says who did not start, and the next run tries again.
$(BENCH)/.ready: $(wildcard tools/bench/requirements/*.txt) tools/bench/environment.py | $(READY)
	@if $(PY) -m tools.bench.environment $(BENCH); then touch $@; fi

bench: $(READY) $(BENCH)/.ready ## our speed beside other packages': figure/bench.png (8 GB, once; then about 10 minutes)
	@$(PY) -m tools.bench.run $(BENCH_ARGS)

lint: $(READY) ## check the style
	@$(PY) -m ruff check .

report: $(READY) ## write the results into README.md and models/README.md
	@$(PY) -m tools.report

clean: ## remove .venv, .venv-bench, out/ and caches; data/, weights/ and checkpoints/ stay
	@rm -rf $(VENV) $(BENCH) "$(OUT)" build *.egg-info .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +
