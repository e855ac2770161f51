# The two commands a fresh Debian machine needs are `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
# Two processes that spin for work on few cores slow each other down twenty-fold.
export OMP_WAIT_POLICY := PASSIVE
export OMP_NUM_THREADS ?= 1
export PYTEST_QT_API := pyside6
XVFB := xvfb-run -a -s "-screen 0 1920x1080x24"

.PHONY: help demo test install headless check gui clean
help:
	@echo "make demo   outline sample images, write pictures to demo/, open the viewer where there is a screen"
	@echo "make test   everything that continuous integration runs"

demo: install
	$(BIN)/medseg demo --out demo
	@echo "Open demo/index.html to look at the pictures."
	@if [ -z "$${CI:-}" ] && [ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ]; then $(BIN)/napari --with napari-medseg; fi

# The screen tests come last: the closing line of pytest ends the output.
test: headless check gui

# Everything below gui/, where Qt and napari are not installed.
headless: install
	$(BIN)/python .ci/headless.py .venv-headless
	.venv-headless/bin/python -m pytest --ignore=tests/gui -q

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/npe2 validate napari-medseg

# The panel in a real napari viewer on a virtual screen, and what needs the whole installation.
gui: install
	$(XVFB) $(BIN)/python -m pytest tests/gui tests/test_house.py -q

install: .venv/.installed

# torch and torchvision first and together, so that pip picks a pair that fits; then the proof that it did.
.venv/.installed: pyproject.toml .ci/system
	.ci/system
	$(PYTHON) -m venv .venv
	$(BIN)/pip install torch torchvision
	$(BIN)/python -c "import torchvision"
	$(BIN)/pip install -e ".[all,dev]"
	@touch $@

clean:
	rm -rf .venv .venv-headless demo build dist
