# Everything a person or a machine does with this project. `make help` lists it.

CARGO ?= cargo

# Tests that try cases at random try the same ones each time; another number tries others.
PROPTEST_RNG_SEED ?= 1
export PROPTEST_RNG_SEED

.PHONY: help build test demo bench bench-proxy bench-gate fuzz ci fmt lint docs snap conformance engine tools runtimes peers lint-peers test-runtimes faults clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

build: ## claw, optimised
	$(CARGO) build --release

test: tools runtimes peers ## all tests, on a real engine
	$(CARGO) test --workspace

test-runtimes: tools ## the real runtimes, on loopback and hardened by claw up: their images are built the first time
	sh scripts/openclaw.sh .runtimes/openclaw
	sh scripts/claude-agent-sdk.sh .runtimes/claude-agent-sdk
	sh scripts/hermes.sh .runtimes/hermes
	sh scripts/nanobot.sh .runtimes/nanobot
	docker image inspect node:24-bookworm-slim >/dev/null 2>&1 || docker pull -q node:24-bookworm-slim || sh scripts/node-image.sh
	docker image inspect debian:trixie-slim >/dev/null 2>&1 || docker pull -q debian:trixie-slim || sh scripts/debian-image.sh
	sh scripts/zeroclaw.sh .runtimes/zeroclaw
	$(CARGO) test -p claw-drivers --test conformance
	CLAW_TEST_RUNTIMES=1 $(CARGO) test --test it -- --nocapture --test-threads 1 runtimes servers

faults: tools ## 200 runs cut off anywhere, the engine restarted now and then: 10 minutes, and nobody else may need the engine
	CLAW_TEST_FAULTS=200 $(CARGO) test --test it -- engine::faults

demo: engine ## builds claw and brings the quickstart up
	sh scripts/demo.sh

bench: tools ## what claw takes, against docker compose in the same run
	$(CARGO) build --release --bin claw
	python3 scripts/bench.py "$$(ls -t target/*/release/claw target/release/claw 2>/dev/null | head -n 1)" $$(sh scripts/peers.sh .peers 2.40 || true)

bench-proxy: ## what the proxy adds to a call and what it takes, against a relay that does nothing, in the same run: 4 minutes
	$(CARGO) build --release --bin claw
	$(CARGO) build --release -p claw-proxy --example load
	sh scripts/bench-proxy.sh

bench-gate: ## what the gate adds to a connection, leaves of its throughput and keeps in memory, against none, in the same run: 1 minute
	$(CARGO) build --release --bin claw
	$(CARGO) build --release -p claw-egress --example gate_load
	"$$(ls -t target/*/release/examples/gate_load target/release/examples/gate_load 2>/dev/null | head -n 1)" "$$(ls -t target/*/release/claw target/release/claw 2>/dev/null | head -n 1)"

snap: ## writes the goldens anew: read the difference afterwards
	CLAW_SNAP=1 $(CARGO) test --workspace --test it --test conformance -- examples accepted current golden everything

ci: ## what CI runs: fmt, lint, docs, lint-peers, test, each timed
	@for part in fmt lint docs lint-peers test; do \
		began=$$(date +%s); $(MAKE) $$part || exit 1; echo "== make $$part: $$(($$(date +%s) - began)) s"; \
	done

fmt: ## formatting, checked
	$(CARGO) fmt --all --check

lint: ## clippy, warnings are errors
	$(CARGO) clippy --workspace --all-targets -- -D warnings

docs: ## API documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

fuzz: ## each parser for a minute, and the tests at random with another seed; needs a nightly compiler and cargo-fuzz
	seed=$$(date +%s); echo "PROPTEST_RNG_SEED=$$seed"; \
		PROPTEST_RNG_SEED=$$seed $(CARGO) test -p claw-scan -p claw-compose -p claw-compiler -p claw-egress
	mkdir -p fuzz/corpus/described
	for target in clawfile pod load dotenv labels template described; do \
		seeds=; [ $$target != described ] || seeds="fuzz/corpus/described testdata/described"; \
		$(CARGO) +nightly fuzz run $$target $$seeds -- -max_total_time=60 -max_len=4096 || exit 1; \
	done

conformance: ## the shared corpora, where they lie beside the project: passed and total
	$(CARGO) test --workspace --test it -- --nocapture corpus

engine: ## makes sure a Docker engine answers
	sh scripts/engine.sh ensure

tools: ## the same, and what the tests need
	sh scripts/engine.sh tools

peers: ## docker compose 2.40 and 2.26, into .peers; tests that compare are skipped where they cannot be had
	@for release in 2.40 2.26; do sh scripts/peers.sh .peers $$release >/dev/null || true; done

lint-peers: ## what compose-lint and dclint say of the compose files of the examples, by rule; into .peers
	sh scripts/lint-peers.sh .peers/lint

runtimes: ## the real runtimes whose own validators the tests ask, into .runtimes
	PLUGINS="discord slack" sh scripts/openclaw.sh .runtimes/openclaw
	sh scripts/claude-agent-sdk.sh .runtimes/claude-agent-sdk
	sh scripts/hermes.sh .runtimes/hermes
	sh scripts/nanobot.sh .runtimes/nanobot
	IF_BUILT=1 sh scripts/zeroclaw.sh .runtimes/zeroclaw

clean: ## removes what was built
	$(CARGO) clean
