"""state, list, ps, events: what there is, in runc's shapes."""

import json
import os
import sys
import time

from wherry.linux import cgroups
from wherry.oci.json_fields import JsonObject, present
from wherry.oci.runtime_spec import VERSION
from wherry.runtime.command.arguments import Arguments, UsageError
from wherry.runtime.command.records import (
    CommandFailed,
    Record,
    StateDirectory,
    is_alive,
    status_of,
)
from wherry.runtime.command.statistics import read_statistics

_COLUMNS = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")
_SHORTEST_COLUMN, _GAP = 12, 4


def show_state(state: StateDirectory, arguments: Arguments) -> int:
    """Print a container's state as JSON. Raises: CommandFailed; OSError."""
    _print(json.dumps(_told(state, state.read(arguments.container_id())), indent=2))
    return 0


def list_containers(state: StateDirectory, arguments: Arguments) -> int:
    """Print every container. Raises: CommandFailed; OSError."""
    records = list(state.all())
    if arguments.has("quiet"):
        _print("\n".join(each.container_id for each in records))
        return 0
    match arguments.text("format", "table"):
        case "json":
            _print(json.dumps([_told(state, each) for each in records] or None))
        case "table":
            rows = [_row(state, each) for each in records]
            _print("\n".join(_table([_COLUMNS, *rows])))
        case _:
            raise CommandFailed("invalid format option")
    return 0


def _told(state: StateDirectory, record: Record) -> JsonObject:
    status = status_of(state, record)
    return present(
        ociVersion=VERSION,
        id=record.container_id,
        pid=_shown_pid(record, status),
        status=status,
        bundle=record.bundle,
        rootfs=record.rootfs,
        created=record.created,
        annotations=dict(record.annotations) or None,
        owner="",
    )


def _row(state: StateDirectory, record: Record) -> tuple[str, ...]:
    status = status_of(state, record)
    pid = str(_shown_pid(record, status))
    return record.container_id, pid, status, record.bundle, record.created, _owner()


def _shown_pid(record: Record, status: str) -> int:
    return 0 if status == "stopped" else record.pid


def _owner() -> str:
    return "root" if os.geteuid() == 0 else str(os.geteuid())


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [
        max(_SHORTEST_COLUMN, *(len(row[column]) + _GAP - 1 for row in rows))
        for column in range(len(rows[0]))
    ]
    return [
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def show_processes(state: StateDirectory, arguments: Arguments) -> int:
    """Print a container's processes: their pids, or what ps(1) says of them.

    Raises: CommandFailed; OSError.
    """
    if not arguments.operands:
        raise UsageError("ps needs a container id")
    container_id, *options = arguments.operands
    record = state.read(container_id)
    pids = sorted(_pids(record))
    if arguments.text("format", "table") == "json":
        _print(json.dumps(pids))
        return 0
    header, *lines = _output_of(("ps", *(options or ("-ef",)))).splitlines() or [""]
    titles = header.split()
    if "PID" not in titles:
        raise CommandFailed("couldn't find PID field in ps output")
    column = titles.index("PID")
    mine = {str(pid) for pid in pids}
    _print("\n".join([header, *(line for line in lines if line.split()[column] in mine)]))
    return 0


def _output_of(command: tuple[str, ...]) -> str:
    """What a program writes. Raises: CommandFailed when it fails; OSError."""
    with open(os.memfd_create("ps", os.MFD_CLOEXEC), "w+b", buffering=0) as output:
        actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), 1)]
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise CommandFailed(f"{' '.join(command)}: exit status {status}")
        output.seek(0)
        return output.read().decode("utf-8", "replace")


def _pids(record: Record) -> set[int]:
    """Of the cgroups and of those below: a container may have made some."""
    found: set[int] = set()
    left = list(record.cgroup_paths)
    while left:
        path = left.pop()
        found.update(cgroups.processes(path))
        left += cgroups.children(path)
    return found


def show_events(state: StateDirectory, arguments: Arguments) -> int:
    """Print statistics, once or at intervals, until the container ends.

    Raises: CommandFailed; OSError.
    """
    record = state.read(arguments.container_id())
    interval_s = _seconds(arguments.text("interval", "5s"))
    if status_of(state, record) == "stopped":
        raise CommandFailed(f"container with id {record.container_id} is not running")
    while True:
        event = {"type": "stats", "id": record.container_id, "data": read_statistics(record)}
        _print(json.dumps(event))
        if arguments.has("stats"):
            return 0
        time.sleep(interval_s)
        if not is_alive(record):
            return 0


def _seconds(text: str) -> float:
    """A duration such as `5s` or `500ms`. Raises: CommandFailed."""
    from wherry.kit.durations import read_duration

    try:
        seconds = read_duration(text) / 1e9
    except ValueError as error:
        raise CommandFailed(f"invalid interval {text!r}: {error}") from error
    if seconds <= 0:
        raise CommandFailed("duration interval must be greater than 0")
    return seconds


def _print(text: str) -> None:
    if text:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
