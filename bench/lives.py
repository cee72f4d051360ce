"""How fast containers live: made, started and ended, one and many, and commands in them."""

import contextlib
import json
import statistics
import time

from session import Session
from table import Samples, Table

LIFE = "create+start+wait+remove of true"


def lives(table: Table) -> None:
    """Starts and execs."""
    for network in ("none", "bridge"):
        table.measure(
            f"{LIFE}, {network}",
            "ms",
            "<= 0.25",
            30,
            lambda session, on=network: _lifecycle_ms(session, on),
        )
    table.measure("docker run --rm, end to end, bridge", "ms", "<= 0.4", 15, _docker_run_ms)
    with contextlib.ExitStack() as stack:
        hosts = {
            session: stack.enter_context(session.running("sleep", "3600"))
            for session in table.sessions
        }
        table.measure(
            "exec create+start+inspect",
            "ms",
            "<= 0.4",
            30,
            lambda session: _exec_ms(session, hosts[session]),
        )


def sequence(table: Table) -> None:
    """Many containers, one after the other."""
    row = table.row(f"{table.count} created and started in sequence [s]", "<= 0.25")
    for session, samples in table.in_turn(row):
        samples.append(_sequence_s(session, table.count))
    row.show()


def listing(table: Table) -> None:
    """`docker ps -a` beside many containers that don't run."""
    count = 50 if table.quick else 500
    row = table.row(f"docker ps -a of {count} stopped containers [ms]", "<= 1")
    made = {session: [session.created("true") for _ in range(count)] for session in table.sessions}
    for _ in range(10):
        for session, samples in table.in_turn(row):
            samples.append(_docker_ps_ms(session, count))
    for session, containers in made.items():
        for container in containers:
            session.removed(container)
    row.show()


def latency(table: Table) -> None:
    """How long a start takes beside containers that do nothing. Ours alone."""
    counts = (0, 20, 50) if table.quick else (0, 100, 500)
    with contextlib.ExitStack() as stack:
        running, first = 0, 0.0
        for count in counts:
            while running < count:
                stack.enter_context(table.ours.running("sleep", "3600"))
                running += 1
            goal = f"<= {first * 1.2:.1f}" if count else ""
            row = table.row(f"start beside {count} containers [ms]", goal)
            start_ms(table.ours)
            row.ours = [start_ms(table.ours) for _ in range(20)]
            first = first or statistics.median(row.ours)
            row.show()


def operation_layer(table: Table) -> None:
    """What naming, timing and keeping operations costs, as part of a start."""
    starts = [row for row in table.rows if row.name.startswith(f"{LIFE}, bridge")]
    if not starts:
        lives(table)
        operation_layer(table)
        return
    with table.ours.running("sleep", "3600") as container:
        target = f"/wherry/containers/{container}/explain?format=json"
        count = _count_operations(json.loads(table.ours.engine.api("GET", target).body))
    row = table.row(f"operation layer, {count} operations [% of a start]", "<= 5 %")
    start_ns = statistics.median(starts[0].ours) * 1e6
    row.ours = [100 * count * cost / start_ns for cost in _executor_costs_ns()]
    row.show()


def _lifecycle_ms(session: Session, network: str) -> float:
    """Create, start, wait for the end and remove, of `true`."""
    begun = time.perf_counter()
    container = session.created("true", NetworkMode=network)
    session.call("POST", f"/containers/{container}/start")
    code = json.loads(session.call("POST", f"/containers/{container}/wait")[1])["StatusCode"]
    session.call("DELETE", f"/containers/{container}")
    took = time.perf_counter() - begun
    assert code == 0
    return took * 1000


def _docker_run_ms(session: Session) -> float:
    """The stock command line from its start to its end."""
    begun = time.perf_counter()
    session.engine.docker_ok("run", "--rm", "busybox", "true")
    return (time.perf_counter() - begun) * 1000


def _docker_ps_ms(session: Session, count: int) -> float:
    """Milliseconds of the stock client's `ps -a`."""
    begun = time.perf_counter()
    listed = session.engine.docker_ok("ps", "-a", "-q")
    took_ms = (time.perf_counter() - begun) * 1e3
    assert len(listed.split()) == count
    return took_ms


def _exec_ms(session: Session, container: str) -> float:
    """Create, start (waiting for its output to end) and inspect of an exec session."""
    begun = time.perf_counter()
    wanted = {"Cmd": ["true"], "AttachStdout": True}
    made = json.loads(session.call("POST", f"/containers/{container}/exec", wanted)[1])["Id"]
    started = session.engine.api("POST", f"/exec/{made}/start", {"Detach": False})
    assert started.status == 200, started
    seen = json.loads(session.call("GET", f"/exec/{made}/json")[1])
    took = time.perf_counter() - begun
    assert seen["ExitCode"] == 0
    return took * 1000


def start_ms(session: Session, network: str = "default") -> float:
    """The answer to a start alone, of a container that is there already."""
    container = session.created("sleep", "3600", NetworkMode=network)
    begun = time.perf_counter()
    session.call("POST", f"/containers/{container}/start")
    took = time.perf_counter() - begun
    session.removed(container)
    return took * 1000


def _sequence_s(session: Session, count: int) -> float:
    """Create and start of so many containers, one after the other."""
    made = []
    begun = time.perf_counter()
    try:
        for _ in range(count):
            made.append(session.created("sleep", "3600"))
            session.call("POST", f"/containers/{made[-1]}/start")
        return time.perf_counter() - begun
    finally:
        for each in made:
            session.removed(each)


def _count_operations(document: object) -> int:
    """How many journal entries a document holds, wherever it keeps them."""
    if isinstance(document, dict):
        return ("kind" in document and "why" in document) + sum(
            _count_operations(each) for each in document.values()
        )
    return sum(map(_count_operations, document)) if isinstance(document, list) else 0


def _executor_costs_ns() -> Samples:
    """What the executor and the journal add to one operation that itself does nothing."""
    from wherry.operations import plan
    from wherry.operations.journal import to_json

    class Nothing(plan.Operation):
        """Changes nothing at all."""

        kind = "nothing"

        def do(self, hands: plan.Hands) -> plan.Evidence:
            return {}

    costs = []
    for _ in range(20):
        begun = time.perf_counter_ns()
        journal: plan.Journal = []
        plan.execute((Nothing(why="to see what it costs"),) * 200, plan.Hands(), journal)
        json.dumps(to_json(journal))
        costs.append((time.perf_counter_ns() - begun) / 200)
    return costs
