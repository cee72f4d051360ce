"""`compose logs`: what the containers of a project have written, and what they go on to write."""

import re
import threading
from contextlib import suppress

from wherry.cli.command import ANY
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.output import LineCutter, Painter, shown_name
from wherry.cli.compose.selection import Named, containers_of, named_project
from wherry.cli.containers.logs import LINE_FLAGS, log_query
from wherry.cli.durations import moment_query
from wherry.cli.flags import INT, SWITCH, Flag, Parsed
from wherry.cli.session import Session, explain
from wherry.client.containers import Pairs
from wherry.client.documents import child, flag, number, text
from wherry.client.engine_client import Client
from wherry.client.errors import ApiError, ClientError
from wherry.compose import Clients, SeenContainer, labels, seen


def run(session: Session, parsed: Parsed) -> int:
    """Print the logs; with --follow, until all containers have ended."""
    named = named_project(session, parsed)
    query = log_query(parsed)
    found = containers_of(
        session, named, parsed.arguments, with_one_offs=True, index=parsed.number("index")
    )
    shown = [each for each in found if not each.is_one_off]
    shown.sort(key=lambda each: (each.service, each.number))
    follower = Follower(session, parsed, named.name, query)
    for each in shown:
        follower.painter.add(shown_name(each.name, named.name))
    if parsed.is_on("follow"):
        for each in shown:
            follower.follow(each)
        return follower.until_all_have_ended(session, named, parsed.arguments)
    with follower.clients.one() as client:
        for each in shown:
            follower.copy(client, each, query)
    return 0


class Follower:
    """Copies logs to the output, each container's in a thread.

    A container that is started again is followed from where its earlier run ended: nothing of
    that is shown twice, and nothing of the new run is missed.
    """

    def __init__(self, session: Session, parsed: Parsed, project: str, query: Pairs) -> None:
        self.clients = Clients(session.client)
        self.painter = Painter(parsed, ())
        self._project = project
        self._query = query
        self._complain = session.complain
        self._threads: list[threading.Thread] = []
        self._ends: dict[str, str] = {}
        """When the last run of a container ended, by its id, in the engine's time."""

    def follow(self, container: SeenContainer, query: Pairs | None = None) -> threading.Thread:
        """Copy a container's log until it ends, in a thread of its own."""
        wanted = self._query if query is None else query
        thread = threading.Thread(target=self._follow, args=(container, wanted), daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _follow(self, container: SeenContainer, query: Pairs) -> None:
        try:
            with self.clients.one() as client:
                self.copy(client, container, query)
        except (ClientError, OSError) as problem:
            self._complain(f"{container.name}: {explain(problem)}")

    def follow_new_run(self, container: SeenContainer) -> threading.Thread:
        """As `follow`, what it writes since it was started."""
        kept = [pair for pair in self._query if pair[0] not in ("since", "tail", "until")]
        if ended := self._ends.get(container.identifier):
            kept.append(("since", ended))
        return self.follow(container, kept)

    def note_end(self, identifier: str, time_ns: int) -> None:
        """Remember where a run ended, from its event."""
        self._ends[identifier] = f"{time_ns // _BILLION}.{time_ns % _BILLION:09d}"

    def note_past(self, container: SeenContainer) -> None:
        """Remember the last line of a container that doesn't run now."""
        last = b""
        query = [("stdout", "1"), ("stderr", "1"), ("timestamps", "1"), ("tail", "1")]
        with self.clients.one() as client, suppress(ApiError):
            for chunk in client.containers.logs(container.identifier, query):
                last += chunk
        if found := _TIMESTAMP.search(last):
            seconds, _, fraction = moment_query(found[0].decode()).partition(".")
            self.note_end(container.identifier, int(seconds) * _BILLION + int(fraction or 0) + 1)

    def copy(self, client: Client, container: SeenContainer, query: Pairs) -> None:
        """Copy a container's log to its end."""
        name = shown_name(container.name, self._project)
        self.painter.add(name)
        config = child(client.containers.inspect(container.identifier), "Config")
        cutter = LineCutter(self.painter, name, is_framed=not flag(config, "Tty"))
        for chunk in client.containers.logs(container.identifier, query):
            cutter.feed(chunk)
        cutter.end()

    def until_all_have_ended(self, session: Session, named: Named, services: list[str]) -> int:
        """Wait; containers that are started meanwhile are followed too."""
        filters = {"type": ["container"], "event": ["start", "die"],
                   "label": [f"{labels.PROJECT}={named.name}"]}  # fmt: skip
        watcher = threading.Thread(target=self._follow_new, args=(filters, services), daemon=True)
        watcher.start()
        while True:
            for thread in list(self._threads):
                thread.join()
            left = containers_of(session, named, services)
            if not any(each.state in ("running", "restarting", "paused") for each in left):
                return 0
            watcher.join(timeout=_PAUSE_S)

    def _follow_new(self, filters: dict[str, list[str]], services: list[str]) -> None:
        with self.clients.listener() as client:
            for event in client.system.events(filters=filters):
                identifier = text(child(event, "Actor"), "ID")
                if text(event, "Action") == "die":
                    self.note_end(identifier, number(event, "timeNano"))
                    continue
                for each in self.found(identifier):
                    if not each.is_one_off and (not services or each.service in services):
                        self.follow_new_run(each)

    def found(self, identifier: str) -> list[SeenContainer]:
        """The container of an id, if it is there still."""
        with self.clients.one() as client:
            filters = {"id": [identifier]}
            return [
                seen(each) for each in client.containers.list(all_states=True, filters=filters)
            ]


_BILLION = 10**9
_PAUSE_S = 0.2
"""Until a container that is about to be restarted is looked at again."""
_TIMESTAMP = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z")
LOGS = ComposeCommand(
    "[SERVICE...]",
    "View output from containers",
    ANY,
    run,
    (
        *LINE_FLAGS,
        Flag("index", INT, "The number of the container, if its service has several"),
        Flag("no-color", SWITCH, "No colours"),
        Flag("no-log-prefix", SWITCH, "No container's name before each line"),
    ),
)
