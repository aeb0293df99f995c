# make demo [PORT=8080] [LISTEN=127.0.0.1] [DATA_DIR=…]   a city in your browser
# make test                                               the whole suite: Rust, web, browser
# make crash [ROUNDS=20]                                  kill -9 at random moments; nothing acknowledged may be lost
# make bench [SCALES='1m 10m'] [SECTIONS='tiles …']        beside Martin and bare axum; benches/README.md says how to read it
# make setup | web | ci | clean-test
ROUNDS ?= 20

.PHONY: demo test crash bench setup web ci clean-test
demo:
	@PORT='$(PORT)' LISTEN='$(LISTEN)' DATA_DIR='$(DATA_DIR)' scripts/demo

test:
	@scripts/test

crash:
	@scripts/setup
	@LAMPPOST_CRASH_ROUNDS='$(ROUNDS)' cargo test --test it crash:: -- --nocapture

bench:
	@SCALES='$(SCALES)' SECTIONS='$(SECTIONS)' scripts/bench

setup:
	@scripts/setup --tests

web:
	@scripts/setup
	@scripts/web

ci:
	@.ci/run

# Stops and removes the throw-away PostgreSQL of the tests.
clean-test:
	@scripts/test-db stop
