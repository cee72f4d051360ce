"""Published ports: bytes and connections from the host to 127.0.0.1."""

import contextlib
from collections.abc import Iterator

from session import Session
from table import Table

from support.waiting import wait_until

PORT = 18080


def published_port(table: Table) -> None:
    """Bytes and connections from the host to 127.0.0.1:PORT."""
    with contextlib.ExitStack() as stack:
        for session in table.sessions:
            stack.enter_context(served(session))
        for unit, goal, *words in (
            ("MB/s", ">= 1.5", "send", "1000"),
            ("conn/s", ">= 2", "connect", "1"),
        ):
            table.measure(
                "host to 127.0.0.1:PORT",
                unit,
                goal,
                5,
                lambda session, words=words: load(session, *words),
            )


@contextlib.contextmanager
def served(session: Session) -> Iterator[None]:
    """A container whose server is published at PORT, for a while."""
    bindings = {"7000/tcp": [{"HostPort": str(PORT)}]}
    bind = [f"{session.netload}:/netload:ro"]
    with session.running("/netload", "serve", "7000", PortBindings=bindings, Binds=bind):
        wait_until("the port answers", lambda: _answers(session))
        yield


def load(session: Session, verb: str, amount: str) -> float:
    """What netload measures against the published port, from the engine's machine."""
    ran = session.engine.machine.run(
        str(session.netload), verb, "127.0.0.1", str(PORT), amount, timeout_s=120
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    return float(ran.stdout)


def _answers(session: Session) -> bool:
    with contextlib.suppress(RuntimeError):
        load(session, "connect", "0.01")
        return True
    return False
