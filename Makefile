# One command for everything. Each target sets up what it needs; `make help` lists them.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A window where there is a display; else a virtual one with software GL.
XVFB := xvfb-run -a -s "-screen 0 1600x1000x24 +extension GLX"
WINDOW := $(if $(DISPLAY)$(WAYLAND_DISPLAY),,$(XVFB))

.DEFAULT_GOAL := help
.PHONY: help setup demo check test bench docs-images clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh
	bash scripts/setup.sh $(VENV)
	@touch $@

setup: $(STAMP) ## Make the environment .venv (and install missing system packages as root)

demo: $(STAMP) ## Open napari on a sample figure; without a display, leave screenshots in demo-output/
ifeq ($(DISPLAY)$(WAYLAND_DISPLAY),)
	$(XVFB) $(BIN)/python scripts/demo.py --out demo-output
else
	$(BIN)/python -m napari_medssl --sample
endif

check: $(STAMP) ## Style, types, import contracts and the plugin manifest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari-medssl

# Tests start some hundred processes: bytecode is kept, also where the environment asks for none.
test: check ## Everything that CI runs: the checks, then all tests
	PYTHONDONTWRITEBYTECODE= NAPARI_ENSURE_PLUGIN_MAIN_THREAD=1 OMP_NUM_THREADS=1 $(XVFB) $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

bench: $(STAMP) ## Run the benchmarks; results go to benchmarks/RESULTS.md
	@set -e; for script in benchmarks/bench_*.py; do $(BIN)/python $$script; done

docs-images: $(STAMP) ## Take the screenshots of the documentation from the real window
	$(WINDOW) $(BIN)/python scripts/docs_images.py --out docs/images
	$(BIN)/python scripts/landmark_figures.py --images 3 --out docs/images/landmark_matches.png

clean: ## Remove the environment and what tools have left
	rm -rf $(VENV) demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
