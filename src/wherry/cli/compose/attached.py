"""`compose up` that stays: what the containers write, until they end or the user has enough.

One queue has all that can happen: a container that ended, a signal, a start or a stop that is
over. The main thread takes from it; everything that blocks is in other threads.

    events of the engine ──┐                           ┌─> lines on the output
    SIGINT, SIGTERM ───────┼─> queue ─> the main loop ─┤
    starts and stops ──────┘                           └─> stop (first Ctrl-C), kill (second)
"""

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from wherry.cli.compose.bringing_up import see_with_images, wishes_for
from wherry.cli.compose.carrying_out import carry_out
from wherry.cli.compose.logs import Follower
from wherry.cli.compose.output import shown_name
from wherry.cli.compose.selection import warner
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import Parsed
from wherry.cli.session import Session
from wherry.client.containers import Pairs
from wherry.client.documents import Document, child, flag, number, text
from wherry.client.engine_client import Client
from wherry.client.errors import ClientError
from wherry.client.transport import switch_query
from wherry.compose import (
    Action,
    Application,
    Clients,
    Observed,
    Performer,
    Plan,
    SeenContainer,
    Skipped,
    execute,
    labels,
    observe,
    plan_stop,
    plan_up,
)

INTERRUPTED = 130
_LAST_WORDS_S = 30.0
"""How long an end is held back for what the container wrote before it."""


class Ended(NamedTuple):
    """A container has ended."""

    name: str
    service: str
    code: int
    is_restarted: bool


class Interrupt(NamedTuple):
    """The user, or somebody else, wants an end."""


class Over(NamedTuple):
    """Something that was done in another thread is over."""

    what: str
    problem: BaseException | None


Happening = Ended | Interrupt | Over
_START, _STOP, _WATCH = "start", "stop", "watch"


def up_attached(session: Session, parsed: Parsed, made: Application) -> int:
    """Bring the project up and stay with it; the exit code."""
    seen_before = see_with_images(session, parsed, made)
    plan = plan_up(made, seen_before, wishes_for(session, parsed, made, seen_before))
    making, starting = plan.split()
    carry_out(session, parsed, making, made, seen_before)
    seen_now = observe(session.client, made.name, made.images())
    return _Attached(session, parsed, made).stay(starting, seen_now)


def attached_services(parsed: Parsed, made: Application) -> list[str]:
    """The services whose output is shown."""
    chosen = parsed.texts("attach") or parsed.arguments
    if not chosen or parsed.is_on("attach-dependencies"):
        chosen = list(made.services)
    hidden = parsed.texts("no-attach")
    for service in [*chosen, *hidden]:
        if service not in made.services:
            raise CommandFailed(f"no such service: {service}")
    return [
        each
        for each in chosen
        if each not in hidden
        and (each in parsed.texts("attach") or made.services[each].get("attach") is not False)
    ]


class _Attached:
    """The loop and its state."""

    def __init__(self, session: Session, parsed: Parsed, made: Application) -> None:
        self._session = session
        self._parsed = parsed
        self._made = made
        self._happenings: queue.SimpleQueue[Happening] = queue.SimpleQueue()
        self._shown = attached_services(parsed, made)
        query = switch_query(
            stdout=True, stderr=True, follow=True, timestamps=parsed.is_on("timestamps")
        )
        self._query: Pairs = query
        self._follower = Follower(session, parsed, made.name, query)
        self._alive: set[str] = set()
        self._begun: set[str] = set()
        self._is_stopping = False
        self._code: int | None = None

    def stay(self, starting: Plan, seen_now: Observed) -> int:
        """Start what is to be started, and show its output; the exit code."""
        containers = [each for name in self._made.services for each in seen_now.of_service(name)]
        self._alive = {each.name for each in containers}
        self._attach(containers)
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(ready,), daemon=True).start()
        ready.wait()
        performer = Performer(
            Clients(self._session.client), self._made, seen_now, warner(self._session)
        )

        def perform(action: Action) -> None:
            if self._is_stopping:
                raise Skipped("Canceled")
            performer.perform(action)

        with self._signals():
            if self._parsed.is_on("watch"):
                self._watch()
            self._begin(_START, lambda: execute(starting, perform, lambda _told: None))
            return self._loop()

    def _watch(self) -> None:
        """Keep the containers as the files are, beside everything else."""
        from wherry.cli.compose.watching import Watcher

        watcher = Watcher(self._session, self._parsed, self._made)

        def watch() -> None:
            try:
                watcher.watch(threading.Event())
            except BaseException as problem:
                self._happenings.put(Over(_WATCH, problem))

        threading.Thread(target=watch, daemon=True).start()

    def _attach(self, containers: list[SeenContainer]) -> None:
        shown = [each for each in containers if each.service in self._shown]
        for each in shown:
            self._follower.painter.add(self._short(each.name))
        names = ", ".join(self._short(each.name) for each in shown)
        self._follower.painter.note(f"Attaching to {names}")
        for each in shown:
            if each.is_running:
                self._follower.follow(each, [*self._query, ("tail", "0")])
            elif each.state != "created":
                self._follower.note_past(each)

    def _short(self, name: str) -> str:
        return shown_name(name, self._made.name, self._made.separator)

    # -- the loop ------------------------------------------------------------------------

    def _loop(self) -> int:
        """Until nothing runs, and nothing that was begun is under way."""
        while self._alive or self._begun:
            match self._happenings.get():
                case Ended() as ended:
                    self._on_end(ended)
                case Interrupt():
                    self._on_interrupt()
                case Over(what, problem):
                    self._begun.discard(what)
                    if problem is not None and not self._is_stopping:
                        raise problem
        return self._code or 0

    def _on_end(self, ended: Ended) -> None:
        told = " (restarting)" if ended.is_restarted else ""
        if ended.service in self._shown:
            name = self._short(ended.name)
            self._follower.painter.note(f"{name} exited with code {ended.code}{told}")
        if ended.is_restarted:
            return
        self._alive.discard(ended.name)
        wanted = self._parsed.text("exit-code-from")
        if wanted == ended.service:
            self._code = ended.code
        if self._is_stopping or not self._ends_all(ended):
            return
        if not wanted:
            self._code = ended.code
        self._session.complain("Aborting on container exit...")
        self._stop()

    def _ends_all(self, ended: Ended) -> bool:
        parsed = self._parsed
        if parsed.is_on("abort-on-container-failure"):
            return ended.code != 0
        return parsed.is_on("abort-on-container-exit") or bool(parsed.text("exit-code-from"))

    def _on_interrupt(self) -> None:
        self._code = INTERRUPTED
        if self._is_stopping:
            self._kill()
            return
        self._follower.painter.note("Gracefully Stopping... press Ctrl+C again to force")
        self._stop()

    def _stop(self) -> None:
        self._is_stopping = True
        timeout = self._parsed.number("timeout") if self._parsed.was_given("timeout") else None

        def stop() -> None:
            client = Client(self._session.client.endpoint, version=self._session.client.version)
            now = observe(client, self._made.name, ())
            ending = [each for name in self._made.services for each in now.of_service(name)]
            carry_out(
                self._session,
                self._parsed,
                plan_stop(self._made, ending, timeout),
                self._made,
                now,
            )

        self._begin(_STOP, stop)

    def _kill(self) -> None:
        with self._follower.clients.one() as client:
            for name in sorted(self._alive):
                with suppress(ClientError):
                    client.containers.kill(name, "KILL")

    def _begin(self, what: str, do: Callable[[], None]) -> None:
        self._begun.add(what)

        def run() -> None:
            problem: BaseException | None = None
            try:
                do()
            except BaseException as failure:
                problem = failure
            self._happenings.put(Over(what, problem))

        threading.Thread(target=run, daemon=True).start()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals become happenings for as long as the block runs."""
        before = {
            each: signal.signal(each, lambda *_: self._happenings.put(Interrupt()))
            for each in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    # -- what the engine tells -----------------------------------------------------------

    def _listen(self, ready: threading.Event) -> None:
        filters = {
            "type": ["container"],
            "event": ["start", "die"],
            "label": [f"{labels.PROJECT}={self._made.name}"],
        }
        threads: dict[str, threading.Thread] = {}
        with self._follower.clients.listener() as client:
            events = client.system.events(filters=filters)
            ready.set()
            for event in events:
                identifier = text(child(event, "Actor"), "ID")
                attributes = child(child(event, "Actor"), "Attributes")
                service = text(attributes, labels.SERVICE)
                is_ours = service in self._made.services
                if not is_ours or text(attributes, labels.ONE_OFF) == "True":
                    continue
                if text(event, "Action") == "start":
                    if thread := self._on_start(identifier):
                        threads[identifier] = thread
                else:
                    self._follower.note_end(identifier, number(event, "timeNano"))
                    waited = threads.pop(identifier, None)
                    threading.Thread(
                        target=self._tell_end, args=(identifier, attributes, waited), daemon=True
                    ).start()

    def _on_start(self, identifier: str) -> threading.Thread | None:
        for container in self._follower.found(identifier):
            self._alive.add(container.name)
            if container.service in self._shown:
                return self._follower.follow_new_run(container)
        return None

    def _tell_end(
        self, identifier: str, attributes: Document, output: threading.Thread | None
    ) -> None:
        """Tell that a container has ended, after the last that it wrote."""
        if output is not None:
            output.join(timeout=_LAST_WORDS_S)
        code = text(attributes, "exitCode")
        self._happenings.put(
            Ended(
                text(attributes, "name"),
                text(attributes, labels.SERVICE),
                int(code) if code.isdigit() else 0,
                self._comes_back(identifier),
            )
        )

    def _comes_back(self, identifier: str) -> bool:
        with self._follower.clients.one() as client:
            try:
                state = child(client.containers.inspect(identifier), "State")
            except ClientError:
                return False
        return flag(state, "Restarting") or flag(state, "Running") or number(state, "Pid") > 0
