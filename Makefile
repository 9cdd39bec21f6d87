# The commands of this project. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo
export CARGO_TARGET_DIR ?= $(CURDIR)/target
LEDGERMQ := $(CARGO_TARGET_DIR)/release/ledgermq
JEPSEN := $(CARGO_TARGET_DIR)/release/jepsen

.DEFAULT_GOAL := help
.PHONY: help run build test test-tools proof proof-push proof-planted simulate proof-long planted fuzz interop interop-tools interop-checks statefulset lint install check-deploy check-image check-backup check-observability release check-release console check-console

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Install what is missing, build, start one node (ARGS="--data DIR")
	@$(LEDGERMQ) dev $(ARGS)

build: install ## Build the ledgermq binary
	@$(CARGO) build --release --locked --workspace
	@echo "built $(LEDGERMQ)"

# One build graph with `build`: other flags would compile RocksDB a second time.
test: install test-tools interop-checks ## Run all tests of the workspace
	@$(CARGO) test --release --locked --workspace

proof: simulate build planted test-tools ## Simulated and real clusters under faults, planted bugs that must be found: half an hour
	@$(MAKE) --no-print-directory -j2 proof-push proof-planted

# The two mostly wait for what they broke, so they run side by side.
proof-push:
	@$(JEPSEN) suite --tier push --binary $(LEDGERMQ) --out $(CARGO_TARGET_DIR)/jepsen

proof-planted:
	@$(JEPSEN) planted --push --binary $(LEDGERMQ)-planted --out $(CARGO_TARGET_DIR)/jepsen

# With another build of tokio, whose time stands still; it never reaches what is shipped.
simulate: install ## Whole clusters in one process, deterministic from a seed (SIMULATION_SEEDS=1..51)
	@$(CARGO) test --release --locked --workspace --features raft/simulation --test simulation

proof-long: build planted test-tools ## Every workload under every fault, for an hour and more (ARGS="--nodes 5")
	@$(JEPSEN) suite --tier long --binary $(LEDGERMQ) --out $(CARGO_TARGET_DIR)/jepsen $(ARGS)

# Beside the shipped binary, with the same dependencies.
planted: install ## Build ledgermq-planted, the broker with bugs that can be switched on
	@$(CARGO) build --release --locked --workspace --features api/planted-bugs --bin ledgermq-planted

fuzz: install ## Fuzz one of api/fuzz/fuzz_targets for SECONDS (TARGET=sql SECONDS=3600)
	@scripts/fuzz.sh $(or $(TARGET),sql) $(or $(SECONDS),60)

interop: build interop-checks ## The five official clients against three nodes, leader killed on and on (ARGS="--language go")
	@python3 -B interop/run.py --binary $(LEDGERMQ) $(ARGS)

statefulset: build interop-checks test-tools ## A StatefulSet's life in network namespaces, under an official client (ARGS="--language go")
	@python3 -B interop/statefulset.py --binary $(LEDGERMQ) $(ARGS)

interop-tools: ## Fetch and build the official clients, run nothing
	@python3 -B interop/run.py --prepare-only $(ARGS)

interop-checks: ## The self-tests of the checks that interop makes
	@cd interop && python3 -B -m unittest -q test_checks

console: ## Make the console's files anew from api/console/src (wants Node.js; building the broker does not)
	@scripts/install-console-tools.sh
	@cd api/console && npm ci --no-progress --silent && npm run --silent check && npm run --silent build

check-console: build ## The console in a real Chromium over real clusters, and the HTTP API against nonsense
	@scripts/check-console.sh $(LEDGERMQ) $(ARGS)

check-observability: build ## Alerts and dashboards against three nodes and a real Prometheus: each alert fires in its fault
	@python3 -B scripts/check-observability.py --binary $(LEDGERMQ) $(ARGS)

lint: install ## Formatting, clippy, licences and advisories
	@scripts/lint.sh

check-deploy: ## Check the Helm chart, the manifests, the Compose file and the systemd unit
	@scripts/check-deploy.sh

check-image: ## Build the image from the built binary without Docker, and run it (root; ARGS="--binary FILE")
	@scripts/check-image.sh $(ARGS)

test-tools: ## Install what tests of faults need on Debian
	@scripts/install-test-tools.sh

install: ## Install what the build needs on Debian
	@scripts/install-build-tools.sh

release: build ## Make a tarball, a bill of materials, checksums and a signature in dist/ (RELEASE_KEY=FILE signs)
	@scripts/release.sh --binary $(LEDGERMQ) $(ARGS)

check-release: build ## Make a release with a key of its own, verify it, and see changed ones refused
	@scripts/check-release.sh $(LEDGERMQ)

check-backup: build ## Back up three nodes under load to a directory and to S3, restore, compare message by message
	@python3 -B scripts/check_backup.py --binary $(LEDGERMQ) --tools $(CARGO_TARGET_DIR)/backup-tools $(ARGS)
