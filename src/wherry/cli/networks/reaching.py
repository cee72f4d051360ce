"""`reach`: whether a packet arrives, hop by hop, and the smallest fix."""

from wherry.cli.command import Arguments, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.cli.tables import table
from wherry.client.documents import Document, children, encode, number, text, texts

_MARKS = {"holds": "ok", "fails": "FAILS", "unknown": "?"}
_SENTENCES = {
    "reachable": "It arrives.",
    "by-address-only": "It arrives at the address, but not under that name.",
    "blocked": "It does not arrive.",
    "unknown": "Nothing seen is against it.",
}
_CELLS = {
    "reachable": "yes", "by-address-only": "address", "blocked": "no", "unknown": "?", "": "-",
}  # fmt: skip
"""Of the table of all; a container is not asked about itself."""
_EXIT_CODES = {"reachable": 0, "by-address-only": 0, "blocked": 1, "unknown": 2}


def run(session: Session, parsed: Parsed) -> int:
    """Print the hops; the exit code is 0 where it arrives, 1 where not, 2 where nobody knows."""
    form = parsed.text("format", "text")
    if form not in ("text", "json"):
        raise CommandFailed(f"invalid value for --format: {form}: must be text or json")
    if parsed.is_on("all"):
        return _matrix(session, parsed, form)
    answer = session.client.wherry.reach(_question(parsed))
    if form == "json":
        from wherry.cli.inspecting import show_documents

        show_documents(session, "{{json .}}", [answer])
    else:
        _show(session, answer)
    return _EXIT_CODES.get(text(answer, "Verdict"), 2)


def _matrix(session: Session, parsed: Parsed, form: str) -> int:
    """Print who reaches what: a line for each source, a column for each target."""
    if parsed.arguments or parsed.is_on("from-host") or parsed.is_on("from-lan"):
        raise CommandFailed("reach --all is about every two that run: it takes no names")
    answers = session.client.wherry.reach_all(is_static=parsed.is_on("static"))
    if form == "json":
        session.say(encode([*answers]).decode().rstrip("\n"))
        return 0
    cells = {(text(each, "Source"), _place(each)): text(each, "Verdict") for each in answers}
    targets = list(dict.fromkeys(target for _source, target in cells))
    sources = sorted({source for source, _target in cells}, key=lambda each: (" " in each, each))
    rows = [("", *targets)]
    rows += [(each, *(_CELLS[cells.get((each, one), "")] for one in targets)) for each in sources]
    session.say(table(rows).rstrip("\n") if cells else "Nobody listens, or nobody else runs.")
    return 0


def _place(answer: Document) -> str:
    return f"{text(answer, 'Target')}:{number(answer, 'Port')}"


def _question(parsed: Parsed) -> Document:
    origins = [each for each in ("host", "lan") if parsed.is_on(f"from-{each}")]
    wanted = 1 if origins else 2
    if len(parsed.arguments) != wanted or len(origins) > 1:
        raise CommandFailed(
            "reach needs a source and a target (A B:5432), or one of --from-host and --from-lan"
            " and a target (B:5432)"
        )
    target, port, protocol = _target(parsed.arguments[-1])
    return {
        "Source": "" if origins else parsed.arguments[0],
        "Origin": origins[0] if origins else "container",
        "Target": target,
        "Port": port,
        "Protocol": parsed.text("proto") or protocol,
        "Static": parsed.is_on("static"),
    }


def _target(argument: str) -> tuple[str, int, str]:
    whole, _, protocol = argument.partition("/")
    name, _, port = whole.rpartition(":")
    if not name or not (port.isascii() and port.isdigit()):
        raise CommandFailed(f"invalid target: {argument}: must be CONTAINER:PORT[/udp]")
    return name, int(port), protocol or "tcp"


def _show(session: Session, answer: Document) -> None:
    port, protocol = number(answer, "Port"), text(answer, "Protocol")
    session.say(f"{text(answer, 'Source')} -> {text(answer, 'Target')}:{port}/{protocol}")
    hops = children(answer, "Hops")
    width = max((len(text(each, "Place")) for each in hops), default=0)
    for each in hops:
        mark = _MARKS.get(text(each, "Standing"), "?")
        session.say(f"  {mark:<5}  {text(each, 'Place'):<{width}}  {text(each, 'Sentence')}")
    session.say(_SENTENCES.get(text(answer, "Verdict"), text(answer, "Verdict")))
    fixes = texts(answer, "Fixes")
    if fixes:
        session.say("\nWhat helps:")
        for fix in fixes:
            session.say(f"  {fix}")


REACH = Command(
    shape="[CONTAINER] CONTAINER:PORT[/udp]",
    summary="Say whether a packet arrives, and why not",
    arguments=Arguments(0, 2),
    run=run,
    flags=(
        Flag("all", SWITCH, "Every two containers that run, by each port that is listened on"),
        Flag("format", STRING, "How to print: text or json", default='"text"'),
        Flag("from-host", SWITCH, "A packet of this host itself"),
        Flag("from-lan", SWITCH, "A packet of another machine, to a published port"),
        Flag("proto", STRING, "tcp or udp", default='"tcp"'),
        Flag("static", SWITCH, "Only look: send no packet"),
    ),
)
