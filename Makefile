# One command each, on a machine with Python 3.11 or later, make, g++ and git.
#
#   make demo        set up and run a trained network on simulated Verilog
#   make test        set up, check the code and run all tests (of training, if PyTorch is installed)
#   make regression  run all cases of the tests, of which `make test` runs a sample; takes hours
#   make train       set up, with PyTorch, and train the network of the demo

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test regression train clean

demo: $(VENV)/.installed
	$(BIN)/hiddenite demo

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/pytest -n 2 --dist worksteal $(PYTEST)

regression: $(VENV)/.installed-test
	$(BIN)/pytest -n 2 --dist worksteal --exhaustive --all-images --networks 5000 $(PYTEST)

train: $(VENV)/.installed-train
	$(BIN)/hiddenite train digits

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-test: pyproject.toml $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(VENV)/.installed-train: pyproject.toml $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[train]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
