# The project's commands. `make demo` and `make test` install what they need (packaging/setup.sh).

SHELL := /bin/bash
.DEFAULT_GOAL := help
# Where setup.sh puts the tools that it builds.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(or $(GOBIN),$(or $(GOPATH),$(HOME)/go)/bin):/usr/local/go/bin

# A test that hangs fails, and the others go on: no test program takes two hours.
HOST = $(shell rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
IN_TIME = CARGO_TARGET_$(HOST)_RUNNER="timeout --foreground --verbose --kill-after=10 7200"

.PHONY: help demo build test lint check player deny advisories bench load fleet latency chaos soak fuzz ffmpegs clean setup-run setup-test

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: player ## a test picture in the browser: no camera, bucket or configuration needed
	cargo build --release
	@cargo run --quiet --release -- demo $(if $(filter command,$(word 1,$(origin PROFILE))),--profile '$(PROFILE)')

build: player ## the agent, at target/release/edge-agent
	cargo build --release

test: setup-test lint deny advisories ## everything: format, lints, licences, unit, contract and end-to-end tests
	npm --prefix player test
	npm --prefix tests/browser test
	CHROMIUM="$$(packaging/setup.sh browser)" $(IN_TIME) cargo test --no-fail-fast

lint: player ## format, clippy, documentation, the player's types
	npm --prefix player run check
	cd player && npx --no-install biome ci --colors=off --error-on-warnings ../tests/browser/latency ../tests/browser/grafana
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --no-deps --document-private-items

check: lint ## the same as lint

player: setup-run ## the page and its player, into player/dist, which the agent embeds
	npm --prefix player run build

deny: ## licences, bans and sources of the dependencies
	cargo deny check bans licenses sources

advisories: ## known vulnerabilities; their database is on the network
	@if timeout 60 cargo deny fetch db 2>/dev/null; then cargo deny check advisories; \
	else echo "advisories: NOT CHECKED, the advisory database is out of reach"; fi

chaos: setup-test player ## every fault and 100 kill -9 on the real agent, into artifacts/chaos.md (CHAOS_OUTAGE_S, CHAOS_KILLS, CHAOS_SEED, CHAOS_PROFILE)
	cargo test --test chaos -- --all

soak: setup-test player ## 8 cameras for SOAK_MINUTES (60) with random faults, into artifacts/soak.csv
	cargo test --release --test chaos -- --soak

bench: setup-test player ## publishing overhead, the agent's own CPU and memory, the whole pipeline, starts, load and fleet
	cargo bench

load: setup-test player ## 200 viewers of one stream, and 1,000 calls of the streams API a second
	cargo bench -- load

fleet: setup-test player ## 1,000 cameras on demand, 20 at a time, and how long starts take
	cargo bench -- fleet starts

latency: setup-test player ## lens to screen in Chromium through a slow store, into artifacts/latency.md (LATENCY_SECONDS, LATENCY_ONLY, docs/latency.md)
	cargo build --release
	CHROMIUM="$$(packaging/setup.sh browser)" node tests/browser/latency/main.mjs

# 4.3 is there to be refused. Not all of them have an ffmpeg that runs on every machine: what can't be fetched is told.
FFMPEG_RELEASES ?= jammy noble trixie sid

ffmpegs: setup-test ## the engine's tests with the ffmpeg of other Debian and Ubuntu releases (FFMPEG_RELEASES), unpacked into artifacts/
	@mkdir -p artifacts
	tests/support/other_ffmpegs.sh artifacts/ffmpegs bullseye > artifacts/ffmpegs.old
	while read -r release ffmpeg; do \
		EDGE_AGENT_TEST_OLD_FFMPEG="$$ffmpeg" cargo test --test encoders before_4_4 < /dev/null || exit 1; \
	done < artifacts/ffmpegs.old
	tests/support/other_ffmpegs.sh artifacts/ffmpegs $(FFMPEG_RELEASES) > artifacts/ffmpegs.list
	while read -r release ffmpeg; do \
		echo "== $$release: $$("$$ffmpeg" -version | head -n 1)"; \
		EDGE_AGENT_TEST_FFMPEG="$$ffmpeg" cargo test --test engine --test encoders --test stills < /dev/null || exit 1; \
	done < artifacts/ffmpegs.list

FUZZ_SECONDS ?= 300
FUZZ_TARGETS ?= playlist configuration stderr spool_diff probe codecs fmp4 fragments

# The sanitizer's flags are unstable ones: the bootstrap variable lets the pinned stable compiler take them.
fuzz: ## the parsers of what others wrote, FUZZ_SECONDS=300 each; needs `cargo install cargo-fuzz`
	cd fuzz && for target in $(FUZZ_TARGETS); do \
		mkdir -p "corpus/$$target" && \
		RUSTC_BOOTSTRAP=1 cargo fuzz run "$$target" "corpus/$$target" "corpus-seeds/$$target" -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -max_len=8192 -verbosity=0 || exit 1; \
	done

setup-run:
	@packaging/setup.sh run

setup-test:
	@packaging/setup.sh test

clean: ## build results and installed npm packages
	cargo clean
	rm -rf player/dist player/node_modules tests/browser/node_modules tests/schemathesis/.venv artifacts fuzz/target fuzz/corpus fuzz/artifacts
