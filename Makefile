# Everything runs in .venv, made on first use and brought up to date when a requirements file changes.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: app test test-slow lint bundle

app: .venv/.installed
	.venv/bin/python app.py

test: .venv/.installed-dev
	.venv/bin/python -m pytest -m "not slow" $(ARGS)

test-slow: .venv/.installed-dev
	.venv/bin/python -m pytest -m slow $(ARGS)

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
