"""`compose watch`, and `up --watch`: what changes on this machine comes into the containers."""

import io
import os
import tarfile
import threading
from collections.abc import Sequence
from contextlib import suppress

from wherry.cli.command import ANY
from wherry.cli.compose.bringing_up import see_with_images
from wherry.cli.compose.carrying_out import carry_out
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.images import carry_out_images
from wherry.cli.compose.selection import application_of
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.client.documents import Document, as_json, text
from wherry.client.engine_client import Client
from wherry.client.errors import ApiError
from wherry.compose import (
    Application,
    Observed,
    SeenContainer,
    Trigger,
    UpWishes,
    Verb,
    changes_between,
    labels,
    look_at,
    observe,
    plan_build,
    plan_up,
    plan_verb,
    project_containers,
    run_hook,
    triggers_of,
)

_EVERY_S = 0.3


def run(session: Session, parsed: Parsed) -> int:
    """Bring the project up, then keep its containers as the files are, until interrupted."""
    made = application_of(session, parsed, parsed.arguments)
    watcher = Watcher(session, parsed, made)
    if not parsed.is_on("no-up"):
        built = Parsed({**parsed.values, "build": True}, parsed.arguments)
        seen = see_with_images(session, built, made)
        carry_out(session, parsed, plan_up(made, seen, UpWishes()), made, seen)
    watcher.watch(threading.Event())
    return 0


class Watcher:
    """Looks at the files in intervals, and does what their entries say."""

    def __init__(self, session: Session, parsed: Parsed, made: Application) -> None:
        """Raises: CommandFailed when nothing is to be watched."""
        self._session = session
        self._parsed = parsed
        self._made = made
        self._client = Client(session.client.endpoint, version=session.client.version)
        self._triggers = triggers_of(made)
        if not self._triggers:
            raise CommandFailed(
                "none of the selected services is configured for watch, "
                "consider setting a 'develop' section"
            )

    def watch(self, end: threading.Event) -> None:
        """Until the event is set. Raises: ComposeError, ClientError."""
        before = look_at(self._triggers)
        for trigger in self._triggers:
            if trigger.syncs_at_once:
                self._sync(trigger, [path for path in before if trigger.takes(path)])
        self._say("Watch enabled")
        settled = before
        while not end.wait(_EVERY_S):
            now = look_at(self._triggers)
            if now != settled:
                settled = now  # Somebody is writing; the next look tells whether that is over.
            elif now != before:
                self._act(changes_between(before, now))
                before = now

    def _act(self, changed: Sequence[str]) -> None:
        rebuilt: list[str] = []
        for trigger in self._triggers:
            paths = [path for path in changed if trigger.takes(path)]
            if not paths or trigger.service in rebuilt:
                continue
            if trigger.action == "rebuild":
                rebuilt.append(trigger.service)
                continue
            if trigger.action.startswith("sync"):
                count = len(paths)
                self._say(
                    f'Syncing service "{trigger.service}" after {count} changes were detected'
                )
                self._sync(trigger, paths)
            if trigger.action.endswith("restart"):
                self._restart(trigger.service)
            elif trigger.action.endswith("exec"):
                for each in self._containers(trigger.service):
                    run_hook(self._client, trigger.service, each.identifier, trigger.hook)
        if rebuilt:
            self._rebuild(rebuilt)

    def _containers(self, service: str) -> list[SeenContainer]:
        found = project_containers(self._client, self._made.name)
        return [x for x in found if x.service == service and x.is_running and not x.is_one_off]

    def _sync(self, trigger: Trigger, paths: Sequence[str]) -> None:
        """Copy what is there, and remove what isn't there any more."""
        there = [path for path in paths if os.path.lexists(path)]
        gone = [trigger.place_of(path) for path in paths if not os.path.lexists(path)]
        archive = _archive(trigger, there)
        for each in self._containers(trigger.service):
            if there:
                self._client.containers.unpack(each.identifier, "/", [archive], gives_to_user=True)
            if gone:
                command: Document = {"command": as_json(["rm", "-rf", *gone]), "user": "root"}
                run_hook(self._client, trigger.service, each.identifier, command)

    def _restart(self, service: str) -> None:
        found = self._containers(service)
        carry_out(
            self._session, self._parsed, plan_verb(Verb.RESTART, found), self._made,
            Observed(containers=found),
        )  # fmt: skip
        self._say(f'service(s) ["{service}"] restarted')

    def _rebuild(self, services: list[str]) -> None:
        shown = " ".join(f'"{each}"' for each in services)
        self._say(f"Rebuilding service(s) [{shown}] after changes were detected...")
        made = application_of(self._session, self._parsed, services, with_dependencies=False)
        carry_out_images(self._session, self._parsed, plan_build(made), made)
        self._say(f"service(s) [{shown}] successfully built")
        whole = application_of(self._session, self._parsed, services)
        seen = observe(self._client, whole.name, whole.images())
        plan = plan_up(whole, seen, UpWishes(targets=services, ignores_orphans=True))
        carry_out(self._session, self._parsed, plan, whole, seen)
        if self._parsed.is_on("prune", default=True):
            self._prune()

    def _prune(self) -> None:
        """Remove the project's images that no name leads to any more; those in use stay."""
        filters = {"dangling": ["true"], "label": [f"{labels.PROJECT}={self._made.name}"]}
        for each in self._client.images.list(filters=filters):
            with suppress(ApiError):
                self._client.images.remove(text(each, "Id"))

    def _say(self, line: str) -> None:
        if not self._parsed.is_on("quiet"):
            self._session.complain(line)


def _archive(trigger: Trigger, paths: Sequence[str]) -> bytes:
    """A tar of files by the names that they have in the container."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path in paths:
            tar.add(path, trigger.place_of(path).lstrip("/"), recursive=False)
    return content.getvalue()


WATCH = ComposeCommand(
    "[SERVICE...]",
    "Watch the files of services, and rebuild or refresh their containers",
    ANY,
    run,
    (
        Flag("no-up", SWITCH, "Don't bring the project up first"),
        Flag("prune", SWITCH, "Remove what rebuilding leaves of earlier images", default="true"),
        Flag("quiet", SWITCH, "Don't say what is done"),
    ),
)
