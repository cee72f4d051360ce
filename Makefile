# make demo, make test: a fresh Debian 12 and root are enough, the rest is installed.
PREFIX ?= /usr/local
PYTHON_VENV = .venv/bin/python

help:
	@echo "make demo      the course's first stack: built, up, fetched, explained, drawn, down"
	@echo "make examples  the course's applications, built and run by Compose v2 and by ours"
	@echo "make test      every test there is (root; under half an hour on two cores)"
	@echo "make course    what the slides of the course say, chapter by chapter (CLI=wherry: typed so)"
	@echo "make course-mutants  is each of these tests worth anything? (half an hour)"
	@echo "make vm-test   the tests that need cgroup v2 or AppArmor, in an emulated machine (20 minutes)"
	@echo "make proof     the security proofs whole, with their figures and mutants (half an hour)"
	@echo "make faults    the daemon killed at every step of every verb (an hour; FAULTS=20 of each)"
	@echo "make fuzz      requests by chance to every operation of the API (FUZZ=200 of each)"
	@echo "make sdk       docker-py's own integration suite, which was written for dockerd (2 minutes)"
	@echo "make check     format, types, floors, unit and house tests (no root, under a minute)"
	@echo "make install   wherry, wherryd, wherry-runtime and, where no other is, docker-compose, as"
	@echo "               a plugin of docker too, into $(DESTDIR)$(PREFIX)/bin and lib"
	@echo "make bench     the engine beside Debian's dockerd, in one run (BENCH='--quick' for short)"
	@echo "make bench-runtimes  wherry-runtime beside crun and runc, where they are installed"
	@echo "make setup     only what these need: Debian packages that are missing, and .venv"
	@echo "make clean     what these leave: .venv, caches, .work"

setup:
	@scripts/setup.sh

demo: setup
	@$(PYTHON_VENV) scripts/demo.py

# The course's applications, by the real Compose v2 and by ours: ten minutes the first time.
examples: setup
	@$(PYTHON_VENV) scripts/examples.py

# Kernel, parity and fault tests share one machine's worth of ports and cgroups: no -n here.
test: setup
	$(PYTHON_VENV) -m pytest -q $(PYTEST)

# CLI=wherry types the commands with our own client instead of the stock one.
course: setup
	WHERRY_TEST_CLI=$(CLI) $(PYTHON_VENV) -m pytest -q -m slide $(PYTEST)

# Each test of a slide again, against an engine that leaves out what was asked for.
course-mutants: setup
	WHERRY_MUTANTS=1 $(PYTHON_VENV) -m pytest -q -m slide $(PYTEST)

proof: setup
	WHERRY_PROOF=whole WHERRY_COPIES=10000 $(PYTHON_VENV) -m pytest -q tests/proofs tests/parity/test_copy_race.py tests/parity/test_dockerfiles.py $(PYTEST)

# FAULTS=20: so many steps of each verb, evenly, instead of all.
faults: setup
	WHERRY_FAULTS=$(or $(FAULTS),whole) $(PYTHON_VENV) -m pytest -q -s tests/faults $(PYTEST)

vm-test: setup
	@scripts/prepare-vm.sh
	WHERRY_VM=whole $(PYTHON_VENV) -m pytest -q -s tests/vm $(PYTEST)

check: setup
	@./dev check

# docker-py's own integration suite, written for dockerd: two minutes.
sdk: setup
	@scripts/prepare-sdk.sh
	WHERRY_SDK=whole $(PYTHON_VENV) -m pytest -q -s tests/sdk $(PYTEST)

# Requests by chance to every operation of the API, 200 of each (RELIABILITY X01).
fuzz: setup
	WHERRY_FUZZ_EXAMPLES=$(or $(FUZZ),200) $(PYTHON_VENV) -m pytest -q tests/fuzz

install: setup
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install.sh

bench: setup
	@bench/prepare.sh
	@$(PYTHON_VENV) bench/bench.py $(BENCH)

clean:
	rm -rf .venv .work build src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} +

bench-runtimes: setup
	@$(PYTHON_VENV) bench/runtimes.py

.PHONY: sdk faults bench-runtimes help setup demo examples test course fuzz proof vm-test check install bench clean course-mutants
