# make demo    hear it work: two phones, one interpreted call, all on this machine
# make demo DESK=webshop   the same with a desk of configs/examples: webshop, hotel, helpdesk
# make demo CALL=coffee    a support call of four minutes that the starter models were not trained on
# make run     serve with configs/server.yaml
# make test    every test, those with SIPp and baresip too
# make check   lint, types and tests: what CI runs

PY := .venv/bin/python
CONFIG ?= configs/server.yaml
TESTS ?=
# Two lines of tests by the clock have a worker each, everything else shares what is left.
WORKERS ?= 3

.PHONY: help setup peers demo run test lint types check bench-media bench-sip bench-speech bench-demo bench-call bench-api bench-store bench-agent bench-subtitles bench-idle fuzz-sip fuzz-api interop clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup:
	@scripts/setup.sh

peers: setup
	@scripts/install_peers.sh

demo: setup
ifdef DESK
	@$(PY) scripts/demo_desk.py $(DESK)
else ifdef CALL
	@$(PY) scripts/demo_call.py $(CALL)
else
	@$(PY) -m kallglot_media.cli demo
endif

run: setup
	@$(PY) -m kallglot_media.cli serve $(CONFIG)

test: peers
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not more_peers" $(TESTS)

lint: types
	@$(PY) -m ruff check kallglot_media tests scripts
	@$(PY) -m ruff format --check kallglot_media tests scripts

types: setup
	@$(PY) -m mypy

check: lint test

# Ten minutes, with rtpengine and Asterisk where they are installed (scripts/install_peers.sh --all).
# LEGS=50,100,200,400,800 says how many; DOCS=1 puts tables and drawing into docs/benchmarks.md.
bench-media: setup
	@$(PY) scripts/bench_media.py $(if $(LEGS),--legs $(LEGS)) $(if $(DOCS),--docs)

# Losses, jitter, an hour of clock skew; the jitter buffer's rule against fixed targets. Simulated time, ten minutes.
.PHONY: bench-network
bench-network: peers
	@$(PY) scripts/bench_media.py --network
	@$(PY) scripts/bench_jitter.py

# What speech.recognizer.denoise is worth: 28 passes over the held-out recordings, five minutes.
.PHONY: bench-denoise
bench-denoise: peers
	@$(PY) scripts/bench_denoise.py

# Sentences through a real call, judged at the phone: correlation, level, holes, PESQ.
.PHONY: bench-listen
bench-listen: peers
	@$(PY) scripts/bench_listen.py

# What callers notice when a media process is killed.
.PHONY: bench-faults
bench-faults: setup
	@$(PY) scripts/bench_faults.py

bench-sip: peers
	@[ -x .sippy/bin/b2bua_simple ] || { $(PY) -m venv .sippy && .sippy/bin/pip install -qq sippy==2.5.0; }
	@$(PY) scripts/bench_sip.py --sippy .sippy/bin/python

bench-speech: setup
	@$(PY) scripts/bench_speech.py

bench-demo: setup
	@$(PY) scripts/bench_demo.py

bench-call: setup
	@$(PY) scripts/bench_call.py

bench-idle: setup
	@$(PY) scripts/bench_idle.py

bench-api: setup
	@$(PY) scripts/bench_api.py

# Twenty minutes; PARTS="entities nobody lag texts noise loss policies calls long-calls loss-calls cores" says which.
# SMALL=1: see that it runs. demo-output/bench-interpreter gets report.md, results.json and the plots.
bench-interpreter: setup
	@$(PY) scripts/bench_interpreter.py $(if $(PARTS),--parts "$(PARTS)") $(if $(SMALL),--small)

# Seven minutes; PARTS="answering interrupting noise questions" says which. MINUTES: of noise, five calls at a time.
bench-agent: setup
	@$(PY) scripts/bench_agent.py --minutes $(or $(MINUTES),10) $(if $(PARTS),--parts $(PARTS))

bench-subtitles: setup
	@$(PY) scripts/bench_subtitles.py

bench-store: setup
	@$(PY) scripts/bench_store.py

# A million datagrams of every kind at RTP ports: ten minutes.
.PHONY: fuzz-media
fuzz-media: setup
	@$(PY) scripts/fuzz_media.py

# The parsers led by coverage (a minute each), then a million damaged messages at a running agent: five minutes.
fuzz-sip: setup
	@$(PY) -m pip install -qq --constraint constraints.txt atheris
	@$(PY) scripts/fuzz_parsers.py
	@$(PY) scripts/fuzz_sip.py

# schemathesis against the served OpenAPI document: make fuzz-api KALLGLOT_FUZZ_S=3600
fuzz-api: setup
	@KALLGLOT_FUZZ_S=$${KALLGLOT_FUZZ_S:-600} $(PY) -m pytest tests/api/test_schemathesis.py

# With the peers that make test can do without: Linphone, sipsak, Kamailio.
interop: setup
	@scripts/install_peers.sh --all
	@KALLGLOT_INTEROP_REPORT=docs/interop.md KALLGLOT_INTEROP_README=README.md $(PY) -m pytest -m interop $(TESTS)

# The starter models anew: TEXTS=folder with bcontrast/, flores/ and tatoeba-deu-eng-2018.zip (docs/models.md).
STARTER := PYTHONPATH=scripts .starter/bin/python -m
.PHONY: starter-setup starter-asr starter-mt starter-voices starter-smoke
starter-setup: setup
	@scripts/train_starter/setup.sh

starter-asr: starter-setup
	@$(STARTER) train_starter.asr $(if $(TEXTS),--texts $(TEXTS)) $(OPTIONS)

starter-mt: starter-setup
	@$(STARTER) train_starter.mt $(if $(TEXTS),--texts $(TEXTS)) $(OPTIONS)

starter-voices: starter-setup
	@$(STARTER) train_starter.voice $(if $(TEXTS),--texts $(TEXTS)) $(OPTIONS)

# Tiny ones of all three from nothing, through the same code: under three minutes.
starter-smoke: starter-setup
	@rm -rf training/smoke
	@$(STARTER) train_starter.asr --smoke --out training/smoke/asr
	@$(STARTER) train_starter.mt --smoke --out training/smoke/mt
	@$(STARTER) train_starter.voice --languages en --lines 40 --out training/smoke/piper

clean:
	rm -rf build dist demo-output *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
