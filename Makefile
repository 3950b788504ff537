# make serve   sets up what the daemon needs and runs it; ARGS="..." are its options
# make test    sets up what the tests need, a JDK and Storm's jars included, and runs all:
#              12 to 15 minutes on 2 cores; on a bare system 4 more, and 1.7 GB of disk
# make unit    runs the tests that open no socket and start no process, but for slow ones
# make matrix  does so on every Python from 3.10 to 3.14 that this machine has; ONE=1 on
#              one other than that of .venv, which pyenv builds if there is none
# make coverage  measures which lines and branches the unit tests run, and fails below a
#                floor; ALL=1 runs all tests, with a higher floor
# make mutants   changes the core in small ways and runs its tests on each change:
#                those that no test notices are listed in docs/mutants.md
# make packages  installs the packages of the system that the tests need, as root, so
#              that a user can do the rest
# make cluster-test     runs whole Storm clusters and lets parts of them fail; ALL=1 for
#                       all outages and releases, TABLES=1 to add to docs/cluster.md
# make cluster-compare  runs the same scenarios with the JVM's Pacemaker, for the tables
# make cluster-outages  tries outages of every length TRIES=5 times, for the tables
# make compose-test     runs the scenarios on docker-compose.yml, and the units of systemd
#                       in a container; needs a container engine
# make compose-images   builds stand-ins for the images that no registry gives
# make compose-clean    removes these stand-ins, and all other images made here
#
# make bench   measures the daemon beside the JVM's Pacemaker, ZooKeeper, redis and the
#              kernel, and writes docs/performance.md; QUICK=1 takes 5 minutes and
#              ROW=... one row (docs/performance.md names them), and write no page
# make isolation   shows what attackers who can reach the port do to everybody else, and
#                  writes docs/isolation.md in half an hour; QUICK=1 takes some minutes
#                  and ATTACK=... one attack, and write no page; CLIENTS=1 runs the
#                  tests of Storm's own clients under attack
#
# make dist    builds the wheel and the source distribution into dist/, the same bytes from
#              the same tree, with bills of materials and checksums
# make docs    builds the manual into site/; a broken link is an error
# make release-check  runs what must be true before a release; STEPS="versions manual" some
# make man     writes the man pages and completions into share/
# make deb     builds packages for Debian and Ubuntu, and an RPM, into dist/;
#              SUITES="trixie noble" some of them, MACHINE=aarch64 for arm64
# make fresh-test  installs, upgrades and removes these packages on fresh systems that
#              boot systemd; as root, with debootstrap.  SUITES=... as above
#
# PYTHON=... names the interpreter to begin with; STORM_PACEMAKER_CACHE=... is
# where Storm's jars are kept.

BIN := .venv/bin
STEP := @printf '==> %s\n'

.PHONY: help serve test packages setup jars lint types unit real bench format clean
.PHONY: matrix coverage mutants isolation cluster-test cluster-compare cluster-outages
.PHONY: compose-test compose-images compose-clean release-tools dist man deb docs fresh-test release-check

help:
	@sed -n 's/^# \(make .*\|  .*\)/\1/p' Makefile

serve:
	$(STEP) "setting up (tools/setup run)"
	@tools/setup run
	$(STEP) "running the daemon; Ctrl-C stops it.  In another terminal:"
	@printf '    %s\n' "$(BIN)/storm-pacemaker-py ping --server localhost"
	@exec $(BIN)/storm-pacemaker-py serve $(ARGS)

# The last line is pytest's own: of one run, the fast tests first.
test: setup lint types jars
	$(STEP) "tests: without I/O first, then with Storm's own parts; 12 to 15 minutes on 2 cores"
	@REQUIRE_REAL=1 $(BIN)/python -m pytest $(ARGS)

setup:
	$(STEP) "setting up (tools/setup test)"
	@tools/setup test

packages:
	$(STEP) "packages of the system (tools/setup packages)"
	@tools/setup packages

jars: setup
	$(STEP) "jars of Storm and ZooKeeper, fetched once (200 MB)"
	@$(BIN)/python -m tests.real.jars

lint: setup
	$(STEP) "formatter and linter (ruff)"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: setup
	$(STEP) "types (mypy --strict); a minute the first time"
	@$(BIN)/mypy

UNIT := not io and not slow

unit: setup
	$(STEP) "unit tests: no sockets, no processes, nothing slow"
	@$(BIN)/python -m pytest -m "$(UNIT)" $(ARGS)

matrix: setup
	$(STEP) "unit tests on $(if $(ONE),one other,every) Python from 3.10 to 3.14"
	@ONE=$(ONE) tools/matrix $(ARGS)

# The daemons and commands that tests start are measured, too (pyproject.toml).
coverage: setup $(if $(ALL),jars)
	$(STEP) "$(if $(ALL),all,the unit) tests, measured$(if $(ALL),; 20 to 30 minutes)"
	@rm -rf build/coverage
	@REQUIRE_REAL=1 $(BIN)/coverage run -m pytest $(if $(ALL),,-m "$(UNIT)") $(ARGS)
	$(STEP) "the floors: $(FLOOR) % of the package, $(CORE_FLOOR) % of the core"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage html --quiet --directory build/coverage/html --fail-under 0
	@$(BIN)/coverage report --include "$(CORE)" --fail-under $(CORE_FLOOR)
	@$(BIN)/coverage report --fail-under $(FLOOR)

# A little below what is reached, so that chance does not fail a build: docs/testing.md.
FLOOR := $(if $(ALL),95,77)
CORE_FLOOR := 100
# The daemon without its I/O, and the bytes on the wire.
CORE := pacemaker/core/**/*,pacemaker/wire/*

mutants: setup
	$(STEP) "changes of the core that no test notices; ALL=1 tries all of them, in an hour"
	@$(BIN)/python tools/mutants.py $(if $(ALL),0)

real: setup
	$(STEP) "tests with Storm's own clients and daemon"
	@$(BIN)/python -m pytest -m real $(ARGS)

# Two clusters run side by side: they mostly wait, but on two slow cores four were too
# much, and workers were called dead for it.  The last line is pytest's own.
CLUSTER_TEST := $(BIN)/python -m pytest --numprocesses 2 tests/cluster

cluster-test: setup
	$(STEP) "whole Storm clusters, whose parts fail"
	@REQUIRE_REAL=1 ALL=$(ALL) TABLES=$(TABLES) $(CLUSTER_TEST) $(ARGS)

cluster-compare: setup
	$(STEP) "the same with the JVM's Pacemaker"
	@REQUIRE_REAL=1 ALL=$(ALL) TABLES=1 CLUSTER_PACEMAKER=jvm $(CLUSTER_TEST) $(ARGS)

# What has been tried is not tried again; CLUSTER_PACEMAKER=jvm for the JVM's.
cluster-outages: setup
	$(STEP) "outages of the only Pacemaker"
	@REQUIRE_REAL=1 ALL=1 TRIES=$(or $(TRIES),5) TABLES=1 \
		$(CLUSTER_TEST)/test_outages.py $(ARGS)

bench: setup
	$(STEP) "benchmarks: nothing else should be running"
	@$(BIN)/python -m $(if $(PROFILE),benchmarks.pulse_budget --page,benchmarks \
		$(if $(QUICK),--plan quick) $(if $(ROW),--row $(ROW)))

ISOLATION := benchmarks.isolation $(if $(QUICK),--plan quick)
UNDER_ATTACK := tests.real.under_attack $(ARGS)

isolation: setup
	$(STEP) "attacks: nothing else should be running"
	@$(if $(CLIENTS),REQUIRE_REAL=1 )$(BIN)/python -m \
		$(if $(CLIENTS),$(UNDER_ATTACK),$(ISOLATION)) $(if $(ATTACK),--attack $(ATTACK))

compose-test: setup
	$(STEP) "containers: this daemon's image, a cluster by Compose, systemd"
	@REQUIRE_REAL=1 $(BIN)/python -m pytest tests/compose $(ARGS)

compose-images: setup
	$(STEP) "images that the compose file names"
	@$(BIN)/python -m tests.compose.images

release-tools:
	$(STEP) "the tools that make artefacts (release/requirements.txt)"
	@release/set-up

RELEASE := .venv-release/bin/python -m release

dist: release-tools
	$(STEP) "wheel and source distribution, into dist/"
	@$(RELEASE).dist dist

deb: dist
	$(STEP) "packages, into dist/"
	@MACHINE=$(or $(MACHINE),x86_64) $(RELEASE).package dist $(SUITES)

fresh-test: release-tools
	$(STEP) "the packages in dist/ on fresh systems"
	@$(RELEASE).fresh dist $(SUITES)

docs: release-tools
	$(STEP) "the manual, into site/"
	@PYTHONPATH=. NO_MKDOCS_2_WARNING=1 .venv-release/bin/mkdocs build --quiet --strict

release-check: release-tools
	$(STEP) "what must be true before a release"
	@$(RELEASE).check $(STEPS)

man: release-tools
	$(STEP) "man pages and completions, into share/"
	@$(RELEASE).man share

compose-clean: setup
	$(STEP) "removing images that were built here"
	@$(BIN)/python -m tests.compose.images remove

format: setup
	$(STEP) "formatting (ruff)"
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:
	$(STEP) "removing what was set up, fetched and built"
	@rm -rf .venv .venv-* mutants .cache build dist ./*.egg-info .mypy_cache .pytest_cache .ruff_cache
