"""Which project a command is about, and which part of it: flags, variables, files, or labels."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wherry.cli.failures import CommandFailed
from wherry.cli.flags import Parsed
from wherry.cli.proxies import proxy_variables
from wherry.cli.session import Session
from wherry.compose import (
    Application,
    ComposeError,
    Project,
    SeenContainer,
    Wishes,
    application,
    load_project,
    observe,
    project_containers,
    recalled,
)
from wherry.kit.values import replace

_TRUTHS = ("1", "true", "t", "y", "yes", "on")


def wishes_of(parsed: Parsed) -> Wishes:
    """What the flags of `compose` say about the project."""
    return Wishes(
        files=parsed.texts("file"),
        project_name=parsed.text("project-name"),
        project_directory=parsed.text("project-directory"),
        env_files=parsed.texts("env-file"),
        profiles=parsed.texts("profile"),
    )


def project_of(session: Session, parsed: Parsed, wishes: Wishes | None = None) -> Project:
    """The project that the flags, the variables and the directory name.

    Raises: ComposeError, OSError.
    """
    project = load_project(wishes or wishes_of(parsed), dict(os.environ), warner(session))
    return replace(project, proxies=proxy_variables(session))


def application_of(
    session: Session,
    parsed: Parsed,
    targets: Sequence[str] = (),
    *,
    scales: Mapping[str, int] | None = None,
    with_dependencies: bool = True,
) -> Application:
    """The part of the project that some services need. Raises: ComposeError, OSError."""
    return part_of(
        project_of(session, parsed), parsed, targets,
        scales=scales, with_dependencies=with_dependencies,
    )  # fmt: skip


def part_of(
    project: Project,
    parsed: Parsed,
    targets: Sequence[str] = (),
    *,
    scales: Mapping[str, int] | None = None,
    with_dependencies: bool = True,
    has_all: bool = False,
) -> Application:
    """As `application_of`, of a project that is read already; `has_all` leaves out no profile.

    Raises: ComposeError.
    """
    if has_all:
        project = replace(project, profiles=["*"])
    made = application(
        project, targets, scales=scales, with_dependencies=with_dependencies,
        keeps_unused=has_all or parsed.is_on("all-resources"),
    )  # fmt: skip
    if parsed.is_on("compatibility") or is_set(project.environment, "COMPOSE_COMPATIBILITY"):
        return replace(made, separator="_")
    return made


def is_set(environment: Mapping[str, str], name: str) -> bool:
    """Whether a variable says yes."""
    return environment.get(name, "").lower() in _TRUTHS


class Named(NamedTuple):
    """A project that may be known by its name alone, from the labels of what runs."""

    name: str
    project: Project | None

    @property
    def services(self) -> frozenset[str] | None:
        """The services of the files; None without files: all that there are containers of."""
        return None if self.project is None else frozenset(self.project.all_services)


def named_project(session: Session, parsed: Parsed) -> Named:
    """The project; without files, a name is enough for what runs. Raises: ComposeError."""
    name = parsed.text("project-name") or os.environ.get("COMPOSE_PROJECT_NAME", "")
    try:
        project = project_of(session, parsed)
    except ComposeError:
        if not name or parsed.texts("file"):
            raise
        return Named(name, None)
    return Named(project.name, project)


def containers_of(
    session: Session,
    named: Named,
    services: Sequence[str] = (),
    *,
    with_one_offs: bool = False,
    index: int = 0,
    must_exist: bool = True,
) -> list[SeenContainer]:
    """The project's containers, of these services or of all. Raises: CommandFailed."""
    found = [
        each
        for each in project_containers(session.client, named.name)
        if (with_one_offs or not each.is_one_off) and (not index or each.number == index)
    ]
    known = named.services
    if known is None:
        known = frozenset(each.service for each in found)
    for service in services if must_exist else ():
        if service not in known:
            raise CommandFailed(f"no such service: {service}")
    return [each for each in found if each.service in services] if services else found


def remembered_application(session: Session, parsed: Parsed, named: Named) -> Application:
    """All services of the project: of its files, or as its labels remember them."""
    if named.project is not None:
        return part_of(named.project, parsed, has_all=True)
    return recalled(named.name, observe(session.client, named.name, ()))


def one_container(session: Session, named: Named, service: str, index: int = 0) -> SeenContainer:
    """The container of a service that `exec` and its like mean: the first, or by its number.

    Raises: CommandFailed.
    """
    found = [
        each
        for each in containers_of(session, named, index=index)
        if each.service == service and each.state in ("running", "paused")
    ]
    if found:
        return found[0]
    place = f" container #{index}" if index else ""
    raise CommandFailed(f'service "{service}" is not running{place}')


def warner(session: Session) -> "Warner":
    """What tells warnings on standard error, as Compose's log does."""
    return Warner(session)


class Warner:
    """Warnings as lines of a log."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, message: str) -> None:
        """Tell one."""
        quoted = message.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        self._session.complain(f'level=warning msg="{quoted}"')
