# The ways to work on caro; `make help` lists them. `setup`, `demo`, `test` and `bench` install what they miss.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The archive of the second engine, for machines that cannot reach GitHub; without one that engine is skipped.
V8_ARCHIVE ?=
V8_FEATURES := --no-default-features --features engine-v8

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

.PHONY: setup
setup: ## install what building and testing needs (Debian packages, the official SDK and other programs for tests)
	@.ci/setup

.PHONY: check-tools
check-tools:
	@.ci/setup --check

.PHONY: build
build: check-tools ## build the release binary
	cargo build --release --locked

.PHONY: demo
demo: ## two machines, one history: set up, build, and show it
	@.ci/setup --build
	cargo build --release --locked
	@.ci/demo target/release/caro

# Tests wait for other processes now and then.
test test-v8: export RUST_TEST_THREADS ?= $(shell echo $$(($$(nproc) + 1)))

.PHONY: test
test: setup ## all tests, with both engines where both can be built
	cargo test --locked --lib --bins --test runner
	cargo test --locked --doc
	$(MAKE) conformance-short
	$(MAKE) test-v8

.PHONY: test-v8
test-v8: ## the isolate's tests on the second engine
ifneq ($(V8_ARCHIVE),)
	RUSTY_V8_ARCHIVE=$(abspath $(V8_ARCHIVE)) cargo test --locked $(V8_FEATURES) --test runner isolate
else
	@echo "engine-v8: skipped, no archive; name one with V8_ARCHIVE=FILE (docs/contributing.md)"
endif

.PHONY: test-slow
test-slow: setup ## what takes long: thousands of random lives, simulated months, ten times the data, many more faults
	CARO_TEST_SLOW=1 cargo test --locked --test runner -- --test-threads 1 slow faults::

.PHONY: conformance
conformance: setup ## the SDK's own test suite inside our isolate, whole
	cargo test --locked --test conformance

.PHONY: conformance-short
conformance-short:
	cargo test --locked --test conformance -- --short

.PHONY: fuzz
fuzz: setup ## everything that reads bytes from outside, under libFuzzer; FUZZ_SECONDS (60) for each target
	@.ci/fuzz
	FUZZ_SECONDS=$${FUZZ_SECONDS:-60} cargo test --locked --test runner relay_fuzzed

.PHONY: lint
lint: check-tools ## formatting and lints
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib

.PHONY: fmt
fmt: ## format everything
	cargo fmt

.PHONY: bench
bench: setup ## time and memory, side by side with the SDK on Node and with Atuin; both engines where both can be built
	@.ci/bench-peers
	cargo bench --locked --bench sync
ifneq ($(V8_ARCHIVE),)
	RUSTY_V8_ARCHIVE=$(abspath $(V8_ARCHIVE)) cargo bench --locked $(V8_FEATURES) --bench sync
endif

.PHONY: bench-relay
bench-relay: setup ## what a relay holds and how fast it is, side by side with jazz-run and the SDK's relay on Node; both engines where both can be built
ifneq ($(V8_ARCHIVE),)
	RUSTY_V8_ARCHIVE=$(abspath $(V8_ARCHIVE)) cargo build --locked --release $(V8_FEATURES) --target-dir target/engine-v8
	CARO_V8=$(abspath target/engine-v8/release/caro) cargo bench --locked --bench relay
else
	cargo bench --locked --bench relay
endif

.PHONY: soak-relay
soak-relay: check-tools ## SOAK_MINUTES (60) of ordinary use of a relay: its memory has to stay where it is
	cargo bench --locked --bench relay -- soak
