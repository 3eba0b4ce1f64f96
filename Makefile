# The few commands of this repository. `make help` lists them.
#
# The build directory lies in the cache, outside the checkout, so that fresh checkouts reuse it. Set CARGO_TARGET_DIR to
# choose another one.

SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH)
export XDG_CACHE_HOME ?= $(HOME)/.cache
export CARGO_TARGET_DIR ?= $(XDG_CACHE_HOME)/masque-dev/target

# Arguments for the program behind a target: make test ARGS="-p masque-store".
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench lint docs

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 14

setup: ## Install what building and testing needs
	@.ci/setup

demo: setup ## Build Masque and show a whole run, without network or keys
	cargo run --locked --quiet -p masque -- demo --approve $(ARGS)

test: setup ## Run all tests, with a PostgreSQL server of their own
	cargo run --locked --quiet -p xtask -- test --locked $(ARGS)

bench: setup ## Measure, and write the results into the docs
	cargo build --locked --release -p masque -p masque-bench
	$(CARGO_TARGET_DIR)/release/masque-bench $(or $(ARGS),--write docs/src/benchmarks.md)

lint: setup ## Check formatting, lints, and the rules of the repository
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo run --locked --quiet -p xtask -- tidy

docs: ## Build the book into docs/book
	@command -v mdbook >/dev/null || { echo "docs: mdbook is missing: cargo install mdbook" >&2; exit 1; }
	mdbook build docs
