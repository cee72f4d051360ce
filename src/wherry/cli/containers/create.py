"""`create`, and the part of it that `run` shares: pull what is missing, then create."""

import os
from typing import NamedTuple

from wherry.cli.command import ONE_OR_MORE, Command
from wherry.cli.failures import CommandFailed, UsageProblem
from wherry.cli.flags import Parsed
from wherry.cli.images.missing import pull
from wherry.cli.images.platform_names import checked_platform
from wherry.cli.images.references import is_image_id, parse_reference, with_default_tag
from wherry.cli.options.container_config import create_request
from wherry.cli.options.container_flags import CONTAINER_FLAGS
from wherry.cli.proxies import with_proxies
from wherry.cli.session import Session
from wherry.client.documents import Document, as_json, text, texts
from wherry.client.errors import ApiError

NOT_FOUND = 404
PULL_POLICIES = ("always", "missing", "never")


class Created(NamedTuple):
    """A container that was created just now."""

    identifier: str
    cid_path: str


def run(session: Session, parsed: Parsed) -> int:
    """Create a container and print its id."""
    try:
        request = create_request(parsed)
        check_pull_policy(parsed)
    except ValueError as problem:
        raise UsageProblem(str(problem), code=125) from None
    session.say(create(session, parsed, request).identifier)
    return 0


def check_pull_policy(parsed: Parsed) -> None:
    """Raises: ValueError for one that makes no sense."""
    policy = parsed.text("pull", "missing")
    if policy and policy not in PULL_POLICIES:
        raise ValueError(
            f'invalid pull option: \'{policy}\': must be one of "always", "missing" or "never"'
        )


def create(session: Session, parsed: Parsed, request: Document) -> Created:
    """Create a container, pulling its image where the policy says so.

    Raises: ApiError, CommandFailed, and as `Transport.request`.
    """
    _check_reference(parsed.arguments[0])
    policy = parsed.text("pull", "missing")
    cid_path = _checked_cid_path(parsed.text("cidfile"))
    variables = with_proxies(session, texts(request, "Env"), given=parsed.texts("env"))
    request = {**request, "Env": as_json(variables)}
    if parsed.text("pod"):
        from wherry.cli.pods.verbs import in_pod

        in_pod(session, request, parsed.text("pod"))
    if policy == "always":
        _pull_wanted(session, parsed)
    answer = _create_or_pull(session, parsed, request, may_pull=policy == "missing")
    for warning in texts(answer, "Warnings"):
        session.complain(f"WARNING: {warning}")
    identifier = text(answer, "Id")
    if cid_path:
        with open(cid_path, "x") as file:
            file.write(identifier)
    return Created(identifier, cid_path)


def _check_reference(image: str) -> None:
    if is_image_id(image):
        return
    try:
        parse_reference(image)
    except ValueError as problem:
        raise CommandFailed(str(problem)) from None


def _create_or_pull(
    session: Session, parsed: Parsed, request: Document, *, may_pull: bool
) -> Document:
    containers = session.client.containers
    name = parsed.text("name")
    platform = checked_platform(parsed.text("platform"), lead="error parsing specified platform: ")
    try:
        return containers.create(request, name=name, platform=platform)
    except ApiError as problem:
        if not may_pull or not _lacks_image(problem):
            raise
    if not parsed.is_on("quiet"):
        shown = with_default_tag(parsed.arguments[0])
        session.complain(f"Unable to find image '{shown}' locally")
    _pull_wanted(session, parsed)
    return containers.create(request, name=name, platform=platform)


def _lacks_image(problem: ApiError) -> bool:
    """Whether it is the image that is missing, or the one for the platform that is wanted."""
    said = problem.message.lower()
    return problem.status == NOT_FOUND and (
        "no such image" in said or "does not provide the specified platform" in said
    )


def _pull_wanted(session: Session, parsed: Parsed) -> None:
    pull(session, parsed.arguments[0], parsed.text("platform"), is_quiet=parsed.is_on("quiet"))


def _checked_cid_path(path: str) -> str:
    if path and os.path.lexists(path):
        raise CommandFailed(
            "container ID file found, make sure the other container isn't running or delete "
            f"{path}"
        )
    return path


CREATE = Command(
    shape="IMAGE [COMMAND] [ARG...]",
    summary="Create a new container",
    arguments=ONE_OR_MORE,
    run=run,
    flags=CONTAINER_FLAGS,
    interspersed=False,
)
