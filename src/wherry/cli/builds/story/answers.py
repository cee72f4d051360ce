"""Answers to what is asked of a Dockerfile in place of a build (`--check`, `--call`)."""

import csv
from typing import NamedTuple

from wherry.cli.failures import CommandFailed
from wherry.cli.flags import Parsed
from wherry.cli.session import Session
from wherry.client.documents import children, document, parse

INQUIRIES = {"check": "lint", "lint": "lint", "outline": "outline", "targets": "targets"}


class Asked(NamedTuple):
    """An inquiry, and the form of its answer."""

    inquiry: str
    """As the engine calls it; empty: build."""
    form: str


def asked(parsed: Parsed) -> Asked:
    """`--call=METHOD[,format=json]`, of which `--check` is one. Raises: CommandFailed."""
    text = "check" if parsed.is_on("check") else parsed.text("call")
    fields = next(csv.reader([text.removeprefix("method=")]), [])
    method = fields[0] if fields else "build"
    options = dict(each.partition("=")[::2] for each in fields[1:])
    form = options.pop("format", "")
    if options or form not in ("", "json", "text"):
        raise CommandFailed(f"invalid call {text!r}: unexpected {fields[1]!r}")
    if method == "build":
        return Asked("", "")
    if method not in INQUIRIES:
        raise CommandFailed(f"invalid call {method!r}: one of build, {', '.join(INQUIRIES)}")
    return Asked(INQUIRIES[method], form)


def show_answer(
    session: Session, wanted: Asked, answer: dict[str, bytes], *, lead: str = ""
) -> int:
    """Print it, `lead` before its first line; the exit code that goes with it."""
    code = int(answer.get("result.statuscode", b"0"))
    found = answer.get("result.json", b"{}")
    if wanted.form == "json":
        session.say(found.decode(errors="replace"))
        return code
    if wanted.inquiry == "lint":
        session.say(f"{lead}{_headline(found)}")
    session.out.write(answer.get("result.txt", b"").decode(errors="replace"))
    return code


def _headline(found: bytes) -> str:
    lint = document(parse(found))
    count = len(children(lint, "warnings"))
    if not count and "buildError" not in lint:
        return "Check complete, no warnings found."
    if count == 1:
        return "Check complete, 1 warning has been found!"
    return f"Check complete, {count} warnings have been found!"
