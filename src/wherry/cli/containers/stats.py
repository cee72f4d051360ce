"""`stats`: what containers use, as a table that renews itself.

Each round asks for one sample of each container, which the engine gives at once, and compares it
with the round before: so a hundred containers need one connection, and nobody waits for the
slowest.
"""

import time
from collections.abc import Iterator, Sequence

from wherry.cli import rows
from wherry.cli.command import ANY, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session, explain
from wherry.cli.texts import short_id
from wherry.client.documents import Document, child, children, number, text
from wherry.client.errors import ApiError
from wherry.kit.byte_sizes import binary_size, human_size_short

ROUND_S = 1.0
DEFAULT = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_TO_TOP, _CLEAR_BELOW = "\033[H", "\033[J"


class Row:
    """One container in one round: its sample, and that of the round before."""

    __slots__ = ("before", "container", "sample")

    def __init__(self, container: str, sample: Document | None, before: Document | None) -> None:
        self.container = container
        self.sample = sample
        """None: the engine had none to give."""
        self.before = before


def run(session: Session, parsed: Parsed) -> int:
    """Show a round, or one each second until the user has seen enough."""
    form = parsed.text("format") or session.setting("statsFormat")
    columns = stats_columns(truncates=not parsed.is_on("no-trunc"))
    rounds = _rounds(session, parsed.arguments, wants_all=parsed.is_on("all"))
    if parsed.is_on("no-stream"):
        next(rounds)
        _show(session, next(rounds), columns, form)
        return 0
    for shown in rounds:
        session.out.write(_TO_TOP + _CLEAR_BELOW)
        _show(session, shown, columns, form)
        session.out.flush()
        if parsed.arguments and not any(each.sample for each in shown):
            break
    return 0


def _show(session: Session, shown: Sequence[Row], columns: rows.Columns[Row], form: str) -> None:
    rows.show(session, shown, columns, DEFAULT, form=form)


def _rounds(session: Session, names: Sequence[str], *, wants_all: bool) -> Iterator[list[Row]]:
    """Raises: CommandFailed where a named container is not there in the first round."""
    before: dict[str, Document] = {}
    is_first = True
    while True:
        wanted = names or _ids(session, wants_all=wants_all)
        samples = {
            name: _sample(session, name, insists=bool(names) and is_first) for name in wanted
        }
        yield [Row(name, samples[name], before.get(name)) for name in wanted]
        before = {name: sample for name, sample in samples.items() if sample is not None}
        is_first = False
        time.sleep(ROUND_S)


def _ids(session: Session, *, wants_all: bool) -> list[str]:
    found = session.client.containers.list(all_states=wants_all)
    return [short_id(text(each, "Id")) for each in found]


def _sample(session: Session, name: str, *, insists: bool) -> Document | None:
    try:
        return session.client.containers.stats_once(name)
    except ApiError as problem:
        if insists:
            raise CommandFailed(explain(problem)) from None
        return None


# -- what is shown ---------------------------------------------------------------------------


def stats_columns(*, truncates: bool) -> rows.Columns[Row]:
    """What a template may ask of a sample."""

    def identifier(row: Row) -> str:
        found = text(row.sample or {}, "id")
        return short_id(found) if truncates else found

    column = rows.Column[Row]
    return rows.Columns[Row](
        type_name="container.statsContext",
        columns=(
            column("BlockIO", "BLOCK I/O", _block_io),
            column("CPUPerc", "CPU %", _cpu),
            column("Container", "CONTAINER", lambda row: row.container),
            column("ID", "CONTAINER ID", identifier),
            column("MemPerc", "MEM %", _memory_share),
            column("MemUsage", "MEM USAGE / LIMIT", _memory),
            column("Name", "NAME", lambda row: text(row.sample or {}, "name")[1:] or "--"),
            column("NetIO", "NET I/O", _network_io),
            column("PIDs", "PIDS", _processes),
        ),
    )


def _cpu(row: Row) -> str:
    if row.sample is None:
        return "--"
    now, before = child(row.sample, "cpu_stats"), child(row.before or {}, "cpu_stats")
    used = _total(now) - _total(before)
    passed = number(now, "system_cpu_usage") - number(before, "system_cpu_usage")
    if row.before is None or used <= 0 or passed <= 0:
        return "0.00%"
    return f"{used / passed * number(now, 'online_cpus') * 100:.2f}%"


def _total(cpu: Document) -> int:
    return number(child(cpu, "cpu_usage"), "total_usage")


def _used(memory: Document) -> int:
    """Without the cache that the kernel would give back first."""
    usage, details = number(memory, "usage"), child(memory, "stats")
    name = "total_inactive_file" if "total_inactive_file" in details else "inactive_file"
    inactive = number(details, name)
    return usage - inactive if inactive < usage else usage


def _memory(row: Row) -> str:
    if row.sample is None:
        return "-- / --"
    memory = child(row.sample, "memory_stats")
    return f"{binary_size(_used(memory))} / {binary_size(number(memory, 'limit'))}"


def _memory_share(row: Row) -> str:
    if row.sample is None:
        return "--"
    memory = child(row.sample, "memory_stats")
    limit = number(memory, "limit")
    return f"{_used(memory) / limit * 100 if limit else 0:.2f}%"


def _network_io(row: Row) -> str:
    if row.sample is None:
        return "--"
    networks = child(row.sample, "networks")
    return _both(
        *(
            sum(number(child(networks, name), counter) for name in networks)
            for counter in ("rx_bytes", "tx_bytes")
        )
    )


def _block_io(row: Row) -> str:
    if row.sample is None:
        return "--"
    entries = children(child(row.sample, "blkio_stats"), "io_service_bytes_recursive")
    return _both(
        *(
            sum(number(each, "value") for each in entries if text(each, "op").lower() == operation)
            for operation in ("read", "write")
        )
    )


def _both(first: int, second: int) -> str:
    return f"{human_size_short(first)} / {human_size_short(second)}"


def _processes(row: Row) -> str:
    if row.sample is None:
        return "--"
    return str(number(child(row.sample, "pids_stats"), "current"))


STATS = Command(
    "[CONTAINER...]",
    "Display a live stream of container(s) resource usage statistics",
    ANY,
    run,
    flags=(
        Flag("all", SWITCH, "Show all containers (default shows just running)", short="a"),
        Flag("format", STRING, "Format output using a custom template"),
        Flag("no-stream", SWITCH, "Disable streaming stats and only pull the first result"),
        Flag("no-trunc", SWITCH, "Do not truncate output"),
    ),
)
