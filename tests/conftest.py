"""What all tests share: root where it is needed, engines, their logs, and no silent skip."""

import os
import re
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support.course import CourseReport
from support.course_mutants import CourseMutants
from support.daemon import Engine, live_engines
from support.machine import is_possible
from support.stock_engine import StockEngine

ALLOWED_SKIPS = (
    r"^needs root$",
    r"^this kernel has no ",
    r"^this host has no ",
    r"^this host mounts cgroup v[12]",
)
"""Reasons that a run may skip a test for; any other reason fails the run."""

# How long an example takes says how busy the machine is.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

TESTS_THE_STOCK_ENGINE = os.environ.get("WHERRY_TEST_ENGINE") == "dockerd"

_log_sizes = pytest.StashKey[dict[Engine, int]]()
_skips = pytest.StashKey[list[tuple[str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin counting skips; `-m slide` ends with the course, chapter by chapter."""
    config.stash[_skips] = []
    if config.option.markexpr == "slide":
        config.pluginmanager.register(CourseReport())
        if os.environ.get("WHERRY_MUTANTS"):
            config.pluginmanager.register(CourseMutants())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of the kernel and of a running engine need root."""
    if TESTS_THE_STOCK_ENGINE:
        differing = [item for item in items if item.get_closest_marker("stock_differs")]
        items[:] = [item for item in items if item not in differing]
        config.hook.pytest_deselected(items=differing)
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("kernel") or item.get_closest_marker("parity"):
            item.add_marker(pytest.mark.skip(reason="needs root"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember how long each engine's log is, so that a failure shows its own part."""
    item.stash[_log_sizes] = {
        engine: engine.log_file.stat().st_size
        for engine in live_engines
        if engine.log_file.exists()
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show wherryd's words beside a failure; count the skips."""
    report = yield
    if report.failed:
        for engine in live_engines:
            since = item.stash.get(_log_sizes, {}).get(engine, 0)
            report.sections.append(("wherryd log", engine.log_tail(since_byte=since)))
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        reason = str(reason).removeprefix("Skipped: ")
        item.config.stash[_skips].append((item.nodeid, reason))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run with a skip that nobody expected has failed."""
    unexpected = _unexpected_skips(session.config)
    if unexpected and session.exitstatus in (
        pytest.ExitCode.OK,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name the unexpected skips."""
    for test, reason in _unexpected_skips(config):
        terminalreporter.write_line(f"UNEXPECTED SKIP {test}: {reason}", red=True)


def _unexpected_skips(config: pytest.Config) -> list[tuple[str, str]]:
    return [
        (test, reason)
        for test, reason in config.stash[_skips]
        if not any(re.search(allowed, reason) for allowed in ALLOWED_SKIPS)
    ]


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[Engine]:
    """One engine for the whole run, with a busybox image."""
    yield from _started_engine()


@pytest.fixture
def engine(shared_engine: Engine) -> Iterator[Engine]:
    """The run's engine, up, with no containers before and after the test."""
    if not shared_engine.is_running:
        shared_engine.start()
    yield shared_engine
    if not shared_engine.is_running:
        shared_engine.start()
    shared_engine.remove_all_containers()


@pytest.fixture
def fresh_engine() -> Iterator[Engine]:
    """An engine of the test's own, with a busybox image, in a machine of its own."""
    yield from _started_engine()


def _started_engine() -> Iterator[Engine]:
    problem = is_possible()
    if problem:
        pytest.fail(problem)
    made = StockEngine() if TESTS_THE_STOCK_ENGINE else Engine()
    try:
        made.start()
        made.bootstrap()
        # What an engine makes once and keeps (a parent cgroup, a chain) is no leak of a test.
        made.docker_ok("run", "--rm", "-p", "80", "busybox", "true")
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static program of tests/support/probe.c, to be bound into containers."""
    made = tmp_path_factory.mktemp("probe") / "probe"
    source = Path(__file__).parent / "support" / "probe.c"
    subprocess.run(["gcc", "-O1", "-static", "-o", made, source], check=True)
    return made


@pytest.fixture(scope="module")
def clean_census(shared_engine: Engine) -> Iterator[None]:
    """Whatever a module's tests did, nothing is left behind by the end of it."""
    if not shared_engine.is_running:
        shared_engine.start()
    before = shared_engine.settled_census()
    yield
    if not shared_engine.is_running:
        shared_engine.start()
    shared_engine.remove_all_containers()
    tells = not TESTS_THE_STOCK_ENGINE and not os.environ.get("WHERRY_MUTANTS")
    leaks = shared_engine.leaks_since(before) if tells else []
    assert not leaks, "\n".join(["left behind by this module:", *leaks])
