"""`diff`, `commit` and `export`: what a container has written, out of it."""

import sys

from wherry.cli.command import ONE, Arguments, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import LIST, STRING, SWITCH, Flag, Parsed
from wherry.cli.images.references import parse_reference
from wherry.cli.session import Session
from wherry.cli.whole_files import deliver
from wherry.client.documents import number, text

KINDS = {0: "C", 1: "A", 2: "D"}


def diff(session: Session, parsed: Parsed) -> int:
    """Print what was changed (C), added (A) and deleted (D)."""
    name = parsed.arguments[0]
    if not name:
        raise CommandFailed("Container name cannot be empty")
    for change in session.client.containers.changes(name):
        session.say(f"{KINDS.get(number(change, 'Kind'), '?')} {text(change, 'Path')}")
    return 0


def commit(session: Session, parsed: Parsed) -> int:
    """Make an image of a container and print its id."""
    name, *reference = parsed.arguments
    session.say(committed(session, parsed, name, reference))
    return 0


def committed(session: Session, parsed: Parsed, name: str, reference: list[str]) -> str:
    """Make an image of a container, as the flags of `commit` say; its id."""
    repository = tag = ""
    if reference:
        try:
            read = parse_reference(reference[0])
        except ValueError as problem:
            raise CommandFailed(str(problem)) from None
        if read.digest:
            raise CommandFailed("refusing to create a tag with a digest reference")
        repository, tag = read.familiar_name, read.tag or "latest"
    query = [
        ("container", name), ("repo", repository), ("tag", tag),
        ("author", parsed.text("author")), ("comment", parsed.text("message")),
        *(("changes", change) for change in parsed.texts("change")),
        ("pause", "1" if parsed.is_on("pause", default=True) else "0"),
    ]  # fmt: skip
    answer = session.client.containers.commit([pair for pair in query if pair[1]])
    return text(answer, "Id")


def export(session: Session, parsed: Parsed) -> int:
    """Write a tar of a container's files."""
    path = parsed.text("output")
    if not path and sys.stdout.isatty():
        raise CommandFailed(
            "cowardly refusing to export to a terminal. Use the -o flag or redirect"
        )
    containers, name = session.client.containers, parsed.arguments[0]
    deliver(lambda: containers.export(name), path, purpose="export container")
    return 0


DIFF = Command("CONTAINER", "Show what a container changed of its image's files", ONE, diff)
COMMIT = Command(
    "CONTAINER [REPOSITORY[:TAG]]",
    "Make an image of a container's changes",
    Arguments(1, 2),
    commit,
    (
        Flag("author", STRING, 'Who made it ("Jane Doe <jane@example.com>")', short="a"),
        Flag("change", LIST, "Apply a Dockerfile instruction to the image", short="c"),
        Flag("message", STRING, "What it is for", short="m"),
        Flag("pause", SWITCH, "Pause the container meanwhile", short="p", default="true"),
    ),
)
EXPORT = Command(
    "CONTAINER",
    "Write a container's files as a tar archive",
    ONE,
    export,
    (Flag("output", STRING, "Write to a file, not to STDOUT", short="o"),),
)
