# Everything runs in .venv, made on first use and brought up to date when a requirements file changes.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: app test test-slow lint bundle

app: .venv/.installed
	.venv/bin/python app.py

# Files are shared out among the cores; those that watch the page in a browser come alone, since they watch the clock.
PYTEST = .venv/bin/python -m pytest
SPREAD = -n logical --maxprocesses 4 --dist loadfile
# Of the files that ARGS names there may be none in one of the two.
NONE = $(if $(ARGS),|| test $$? -eq 5)

test: .venv/.installed-dev
	$(PYTEST) -m "not slow and not browser" $(SPREAD) $(ARGS) $(NONE)
	$(PYTEST) -m "not slow and browser" $(ARGS) $(NONE)

test-slow: .venv/.installed-dev
	$(PYTEST) -m "slow and not browser" $(SPREAD) $(ARGS) $(NONE)
	$(PYTEST) -m "slow and browser" $(ARGS) $(NONE)

lint: .venv/.installed-dev
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .

bundle: .venv/.installed
	.venv/bin/python -m benchmarks.bundle $(ARGS)

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else f"Python 3.11 or later is needed; {sys.executable} is {sys.version.split()[0]}. Name another with: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/.installed: requirements.txt constraints.txt | .venv/bin/python
	$(PIP) -r requirements.txt
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	$(PIP) -r requirements.txt -r requirements-dev.txt
	@touch $@
