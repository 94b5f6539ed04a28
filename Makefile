# Every target is one thing that a person wants done. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

CARGO ?= cargo
TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
# Of the image: release, or dev to build it faster.
PROFILE ?= release
VERSION := $(shell sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
IMAGE ?= localhost/pharos:$(VERSION)
TRIPLE := $(shell uname -m)-unknown-linux-gnu
UI_SOURCES := $(shell find ui/app ui/index.html ui/*.json ui/*.ts -type f 2>/dev/null)
say = @printf '%s %s\n' "$$(date +%H:%M:%S)" "$(1)"

.PHONY: help
help: ## what there is
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

.PHONY: run
run: build ## build all and watch this machine: http://127.0.0.1:9090
	$(call say,starting)
	@exec $(TARGET_DIR)/release/pharos up $(ARGS)

.PHONY: build
build: ui/dist/index.html ## the release binary, web app included: target/release/pharos
	$(call say,building the binary (some minutes the first time))
	@$(CARGO) build --release --package pharos

# npm writes this file when an installation is complete.
ui/node_modules/.package-lock.json: ui/package-lock.json
	@command -v npm > /dev/null || { echo "the web app needs Node 20 or newer (npm is missing); without it: cargo build --release" >&2; exit 1; }
	$(call say,fetching the web app's libraries)
	@cd ui && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

ui/dist/index.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	$(call say,building the web app)
	@cd ui && npm run --silent build
	@touch $@

.PHONY: test
test: test-rust test-ui test-browser ## all tests that need neither root nor a cluster

.PHONY: test-rust
test-rust: ui/dist/index.html ## the Rust tests alone
	@$(CARGO) test --workspace --no-fail-fast

.PHONY: test-peers
test-peers: ## the storage's directories and promtool beside the real programs: both ways, two days of data
	@if [ -n "$${PROMETHEUS:-}" ] && [ -n "$${PROMTOOL:-}" ] || command -v go > /dev/null; then \
	  prometheus=$${PROMETHEUS:-$$(e2e/peers/build prometheus)} && promtool=$${PROMTOOL:-$$(e2e/peers/build promtool)} && \
	  export PROMETHEUS=$$prometheus PROMTOOL=$$promtool && \
	  $(CARGO) test --package tsdb --test both_ways --test interop && \
	  $(CARGO) test --package promtool --test golden && \
	  $(CARGO) test --package pharos --test two_days; \
	else echo "skipped: needs Go to build Prometheus and promtool, or PROMETHEUS and PROMTOOL naming them"; \
	  [ -z "$${PEERS_REQUIRED:-}" ]; fi

.PHONY: simulate
simulate: ## the storage on a disk that breaks on purpose: MINUTES=10, CRASHES=10000, THREADS=2 or SEED=7
	@SIM_SEED=$(SEED) SIM_MINUTES=$(or $(MINUTES),$(if $(CRASHES),,2)) SIM_CRASHES=$(CRASHES) SIM_THREADS=$(or $(THREADS),2) \
	  $(CARGO) test --quiet --profile simulate --package tsdb --test simulator random -- --nocapture

.PHONY: fuzz
fuzz: ## each decoder for SECONDS=60, or one: TARGET=index
	@fuzz/run "$(TARGET)" "$(or $(SECONDS),60)"

.PHONY: test-ui
test-ui: ui/node_modules/.package-lock.json ## the web app's unit tests
	@cd ui && npm test --silent

.PHONY: test-browser
test-browser: ui/dist/index.html ## the web app in Chromium, where there is one
	@if command -v chromium > /dev/null || [ -x /usr/bin/google-chrome ] || [ -n "$${CHROMIUM:-}" ]; then \
	  $(CARGO) build --package pharos && cd ui && PHAROS=$(TARGET_DIR)/debug/pharos npm run --silent browser; \
	else echo "skipped: no Chromium here (Debian: apt-get install chromium)"; fi

# How many queries; SEED is the number that the first one is made from.
COUNT ?= 20000
.PHONY: differential
differential: ## generated queries, beside a real Prometheus: COUNT=20000 SEED=1
	@if [ -n "$${PROMETHEUS:-}" ] || command -v go > /dev/null; then \
	  prometheus=$${PROMETHEUS:-$$(e2e/peers/build prometheus)} && \
	  $(CARGO) build --quiet --workspace --bin differential && \
	  $(TARGET_DIR)/debug/differential --prometheus "$$prometheus" --count $(COUNT) --seed $(or $(SEED),1) --shrink; \
	else echo "skipped: needs Go to build Prometheus, or PROMETHEUS=path/to/prometheus"; fi

.PHONY: lint
lint: lint-fast lint-clippy lint-chart ## all checks of the sources

.PHONY: lint-fast
lint-fast: ## what takes seconds: formatting, layers and style of the tree
	@$(CARGO) fmt --all --check
	@for script in e2e/cluster e2e/oci e2e/peers/build e2e/run e2e/lib/*.sh charts/codegen .ci/run bench/run fuzz/run; do bash -n $$script; done
	@if command -v gofmt > /dev/null; then bad=$$(gofmt -l e2e); [ -z "$$bad" ] || { echo "gofmt these: $$bad" >&2; exit 1; }; fi
	@$(CARGO) run --quiet --package xtask -- tidy

.PHONY: lint-clippy
lint-clippy: ## clippy without a warning
	@$(CARGO) clippy --workspace --all-targets -- --deny warnings

.PHONY: lint-chart
lint-chart: ## the chart, and that all generated files are current
	@$(CARGO) run --quiet --package xtask -- codegen --check
	@if command -v helm > /dev/null || command -v go > /dev/null; then \
	  charts/codegen --check && "$$(e2e/cluster tool helm)" lint --quiet charts/pharos; \
	else echo "skipped: the chart's checks need helm, or Go to build it"; fi

.PHONY: codegen
codegen: ## write all generated files: crds/*.yaml, charts/pharos/crds/, manifests/
	@$(CARGO) run --quiet --package xtask -- codegen
	@charts/codegen

# A build with another target directory, so that the flags of the static build do not spoil the other builds.
.PHONY: image
image: ui/dist/index.html ## an OCI archive of the static binary: target/image/pharos.tar
	$(call say,building the static binary ($(PROFILE)))
	@CARGO_TARGET_DIR=$(TARGET_DIR)/static RUSTFLAGS="-C target-feature=+crt-static" \
	  $(CARGO) build --profile $(PROFILE) --target $(TRIPLE) --package pharos
	@e2e/oci $(IMAGE) target/image/pharos.tar 65534:65534 /pharos \
	  $(TARGET_DIR)/static/$(TRIPLE)/$(subst dev,debug,$(PROFILE))/pharos=/pharos
	$(call say,$(IMAGE) is in target/image/pharos.tar)

.PHONY: e2e
e2e: ## the whole way on a real cluster; without Docker it needs root. CHECKS="NAME…" for some only
	@PROFILE=$(PROFILE) e2e/run $(CHECKS)

.PHONY: cluster-up
cluster-up: ## a cluster on this machine, with Pharos' image loaded if it has been built
	@e2e/cluster up
	@if [ -f target/image/pharos.tar ]; then e2e/cluster load target/image/pharos.tar; fi

.PHONY: cluster-down
cluster-down: ## takes it away
	@e2e/cluster down

.PHONY: bench
bench: ## beside Prometheus, which Go builds or PROMETHEUS names: COMPARE=path/to/compare KIND=ingest|churn|query|restart
	@bench/run $(KIND)

.PHONY: bench-micro
bench-micro: ## criterion: classes of queries, codecs, selections, appends. ARGS="NAME…" for some only
	@$(CARGO) bench --profile profiling --package bench -- $(ARGS)
