# The only front door. `make demo` and `make test` need python3 (3.11 or later), pip and nothing else.

# the first that is new enough; its own path, because a version manager's shim costs more than a dump
PYTHON ?= $(shell for p in /usr/bin/python3 python3; do \
	$$p -c 'import os, sys; print(os.path.realpath(sys.executable)); sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	done | tail -n 1)
JOBS ?= $(shell n=$$(nproc); [ "$$n" -gt 4 ] && n=4; echo "$$n")
ARGS ?=
BIN := .venv/bin
STAMP := .venv/stamp

# a checkout that was moved needs its .venv again
ifneq ($(firstword $(shell cat $(STAMP) 2>/dev/null)),$(CURDIR))
.PHONY: $(STAMP)
endif

# what tests fetch stays in the checkout; a user's own cache is neither read nor written
test live docs bench: export HOLDFAST_CACHE ?= $(CURDIR)/.cache

.PHONY: venv demo test live lint format docs bench requirements clean
venv: $(STAMP)

$(STAMP): requirements.txt requirements-boot.txt pyproject.toml .ci/venv .ci/launcher.py
	@.ci/venv "$(PYTHON)"

demo: $(STAMP)  ## a real program is dumped, killed, restored and verified
	@$(BIN)/holdfast demo $(ARGS)

test: $(STAMP)  ## every test that this machine and user can run; ARGS="tests/unit -k pipe" for some
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

live: $(STAMP)  ## only the tests with real processes
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m live $(ARGS)

# all four, whatever the first says
lint: $(STAMP)
	@fail=0; \
	$(BIN)/ruff check --quiet . || fail=1; \
	$(BIN)/ruff format --check --quiet . || { echo 'not formatted: make format' >&2; fail=1; }; \
	$(BIN)/mypy src tests || fail=1; \
	$(BIN)/lint-imports --config importlinter.ini >.venv/lint-imports.log || { cat .venv/lint-imports.log >&2; fail=1; }; \
	exit $$fail

format: $(STAMP)
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

docs: $(STAMP)  ## the generated pages: kinds.md, errors.md
	@$(BIN)/python docs/generate.py $(ARGS)

bench: $(STAMP)  ## side by side with CRIU; needs root
	@$(BIN)/python -m bench $(ARGS)

requirements: $(STAMP)  ## newest versions of everything, pinned by hash
	@.ci/requirements

clean:
	rm -rf .venv .venv.boot .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
