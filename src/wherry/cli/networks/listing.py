"""`network ls`."""

from wherry.cli import rows
from wherry.cli.command import NONE, Command
from wherry.cli.flags import FILTER, STRING, SWITCH, Flag, Parsed, filters_of
from wherry.cli.session import Session
from wherry.cli.texts import short_id
from wherry.client.documents import Document, flag, mapping, text
from wherry.kit.timestamps import NANOSECONDS, parse_rfc3339

_NAMES = ("ID", "Name", "Driver", "Scope")

_RAW = """\
network_id: {{.ID}}
name: {{.Name}}
driver: {{.Driver}}
scope: {{.Scope}}
"""


def run(session: Session, parsed: Parsed) -> int:
    """List networks by name."""
    found = session.client.networks.list(filters_of(parsed))
    found.sort(key=lambda network: _natural(text(network, "Name")))
    columns = _columns(truncates=not parsed.is_on("no-trunc"))
    form = parsed.text("format") or session.setting("networksFormat")
    is_quiet = parsed.is_on("quiet")
    rows.show(session, found, columns, _NAMES, form=form, is_quiet=is_quiet, raw=_RAW)
    return 0


def _natural(name: str) -> list[tuple[int, str]]:
    """An order in which `net10` comes after `net9`."""
    parts: list[tuple[int, str]] = []
    digits = ""
    for character in name:
        if character.isdigit():
            digits += character
            continue
        if digits:
            parts.append((int(digits), ""))
            digits = ""
        parts.append((-1, character))
    return [*parts, (int(digits), "")] if digits else parts


def _columns(*, truncates: bool) -> rows.Columns[Document]:
    column = rows.Column[Document]

    def identifier(network: Document) -> str:
        return short_id(text(network, "Id")) if truncates else text(network, "Id")

    def claim(key: str) -> rows.Column[Document]:
        names = {"EnableIPv6": "IPv6", "EnableIPv4": "IPv4"}
        name = names.get(key, key)
        header = name if name.startswith("IP") else name.upper()
        return column(name, header, lambda network: "true" if flag(network, key) else "false")

    columns: tuple[rows.Column[Document], ...] = (
        column("ID", "NETWORK ID", identifier),
        column("Name", "NAME", lambda network: text(network, "Name")),
        column("Driver", "DRIVER", lambda network: text(network, "Driver")),
        column("Scope", "SCOPE", lambda network: text(network, "Scope")),
        claim("EnableIPv4"),
        claim("EnableIPv6"),
        claim("Internal"),
        column("Labels", "LABELS", _labels),
        column("CreatedAt", "CREATED AT", _created_at),
    )
    return rows.Columns[Document](
        type_name="network.networkContext",
        columns=columns,
        label=lambda network, key: mapping(network, "Labels").get(key, ""),
    )


def _labels(network: Document) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(mapping(network, "Labels").items()))


def _created_at(network: Document) -> str:
    """Go's String of the time: `2026-01-02 03:04:05.123 +0000 UTC`."""
    try:
        moment_ns = parse_rfc3339(text(network, "Created"))
    except ValueError:
        return "0001-01-01 00:00:00 +0000 UTC"
    from wherry.kit.timestamps import rfc3339_nano

    if moment_ns < -62_000_000_000 * NANOSECONDS:
        return "0001-01-01 00:00:00 +0000 UTC"
    return rfc3339_nano(moment_ns).replace("T", " ").replace("Z", " +0000 UTC")


LIST = Command(
    shape="",
    summary="List networks",
    arguments=NONE,
    run=run,
    flags=(
        Flag("filter", FILTER, 'Show only what matches ("driver=bridge")', short="f"),
        Flag("format", STRING, "How to print: table, table TEMPLATE, json, or TEMPLATE"),
        Flag("no-trunc", SWITCH, "Show ids in full"),
        Flag("quiet", SWITCH, "Show ids only", short="q"),
    ),
)
