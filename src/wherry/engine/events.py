"""The one place that says what `docker events` shows.

Theory of operation. An event is numbered, written to the journal and put into the queue of each
subscriber. Who asks for the past reads the journal, while what happens meanwhile waits in its
queue; the numbers say where the one ends and the other goes on. A subscriber whose queue is full
is told so in a last event, with the time to go on from, and its stream ends: no gap is silent.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Mapping

from wherry.engine.event_journal import EventJournal
from wherry.kit.aio import OffloadPool
from wherry.kit.clock import Clock
from wherry.kit.timestamps import rfc3339_nano
from wherry.kit.values import replace
from wherry.model.callers import CALLER
from wherry.model.containers import Container
from wherry.model.events import Event
from wherry.model.ids import ContainerId
from wherry.model.images import Image
from wherry.model.networks import EndpointStatus

MOST_QUEUED = 4096
"""A subscriber that lags further behind is cut off, never silently skipped."""
CUT_ACTION = "stream-cut"
"""The last event of a subscriber that lagged too far behind."""
_READ_AT_ONCE = 500

Filters = Mapping[str, tuple[str, ...]]


class EventLog:
    """Publishes events to subscribers and keeps them for `since`."""

    def __init__(self, clock: Clock, journal: EventJournal, offload: OffloadPool) -> None:
        self._clock = clock
        self._journal = journal
        self._offload = offload
        self._sequence = journal.last_sequence()
        self._subscribers: set[asyncio.Queue[Event | None]] = set()

    @property
    def listeners(self) -> int:
        """How many subscribers there are."""
        return len(self._subscribers)

    def publish(
        self,
        kind: str,
        action: str,
        actor_id: str,
        attributes: Mapping[str, str],
        *,
        is_kept: bool = True,
    ) -> None:
        """Something happened, now. What happens all the time, as probes do, is not kept."""
        self._sequence += 1
        event = Event(
            sequence=self._sequence,
            at_ns=self._clock.now_ns(),
            kind=kind,
            action=action,
            actor_id=actor_id,
            attributes=attributes,
        )
        if is_kept:
            self._journal.append(event, CALLER.get())
        for queue in tuple(self._subscribers):
            if queue.qsize() >= MOST_QUEUED:
                self._subscribers.discard(queue)
                queue.put_nowait(_cut(event))
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def probe(self, action: str, container: Container, session: str, **attributes: str) -> None:
        """An event of a health check's exec session: told, but not kept."""
        self.publish(
            "container",
            action,
            container.id,
            {**_container_attributes(container), "execID": session, **attributes},
            is_kept=False,
        )

    def container(self, action: str, container: Container, **attributes: str) -> None:
        """An event of a container, with the attributes that Docker gives: labels and names."""
        self.publish(
            "container",
            action,
            container.id,
            {**_container_attributes(container), **attributes},
        )

    def image(self, action: str, image_id: str, name: str, image: Image | None = None) -> None:
        """An event of an image."""
        labels = image.config.labels if image is not None else {}
        self.publish("image", action, image_id, {**labels, "name": name})

    def endpoint(
        self, action: str, endpoint: EndpointStatus, driver: str, container_id: ContainerId
    ) -> None:
        """A container was connected to a network, or disconnected from it."""
        self.publish(
            "network",
            action,
            endpoint.network_id,
            {"container": container_id, "name": endpoint.network_name, "type": driver},
        )

    async def subscribe(
        self, *, since_ns: int | None, until_ns: int | None, filters: Filters
    ) -> AsyncIterator[Event]:
        """Events that match, oldest first; past ones only with `since` or `until`, where it ends.

        The last one has the action `stream-cut` when the reader was too slow.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        begun_at = self._sequence
        self._subscribers.add(queue)
        try:
            if since_ns is not None or until_ns is not None:
                async for event in self._past(since_ns, until_ns, begun_at):
                    if matches(event, filters):
                        yield event
            while True:
                following = await self._next(queue, until_ns)
                if following is None:
                    return
                if following.action == CUT_ACTION or matches(following, filters):
                    yield following
        finally:
            self._subscribers.discard(queue)

    async def _past(
        self, since_ns: int | None, until_ns: int | None, begun_at: int
    ) -> AsyncIterator[Event]:
        """What is kept, up to what will be in the queue."""
        events = self._journal.read(since_ns, until_ns)
        while batch := await self._offload(_take, events):
            for event in batch:
                if event.sequence <= begun_at:
                    yield event

    async def _next(
        self, queue: "asyncio.Queue[Event | None]", until_ns: int | None
    ) -> Event | None:
        if until_ns is None:
            return await queue.get()
        remaining_s = (until_ns - self._clock.now_ns()) / 1e9
        if remaining_s <= 0:
            return None
        try:
            return await asyncio.wait_for(queue.get(), remaining_s)
        except TimeoutError:
            return None


def _take(events: Iterable[Event]) -> list[Event]:
    return list(itertools.islice(events, _READ_AT_ONCE))


def _cut(event: Event) -> Event:
    """What a subscriber is told instead of an event that it can't have any more."""
    return replace(
        event,
        kind="daemon",
        action=CUT_ACTION,
        actor_id="",
        attributes={
            "reason": f"more than {MOST_QUEUED} events were waiting to be read",
            "since": rfc3339_nano(event.at_ns),
        },
    )


def _container_attributes(container: Container) -> dict[str, str]:
    return {
        **container.spec.labels,
        "image": container.spec.image,
        "name": container.name,
    }


def matches(event: Event, filters: Filters) -> bool:
    """Whether an event passes: all keys must match, any value of a key will do.

    Keys that mean nothing here are passed over, as in Docker.
    """
    return all(_matches_one(event, key, values) for key, values in filters.items() if values)


def _matches_one(event: Event, key: str, values: Iterable[str]) -> bool:
    match key:
        case "type":
            return event.kind in values
        case "event":
            return any(
                event.action == value or event.action.startswith(value + ":") for value in values
            )
        case "label":
            return all(_has_label(event.attributes, value) for value in values)
        case "image":
            return any(value in _image_names(event) for value in values)
        case "scope":
            return "local" in values
        case _ if key in _ACTOR_KINDS:
            return event.kind == key and any(_names_actor(event, value) for value in values)
        case _:
            return True


_ACTOR_KINDS = frozenset({
    "config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume",
})  # fmt: skip


def _has_label(attributes: Mapping[str, str], wanted: str) -> bool:
    name, separator, value = wanted.partition("=")
    return name in attributes and (not separator or attributes[name] == value)


def _names_actor(event: Event, value: str) -> bool:
    """By the beginning of its id or of its name."""
    return event.actor_id.startswith(value) or event.attributes.get("name", "").startswith(value)


def _image_names(event: Event) -> set[str]:
    """What an image is called in an event of its own, or of a container made from it."""
    names = {event.attributes.get("name" if event.kind == "image" else "image", "")}
    if event.kind == "image":
        names.add(event.actor_id)
    return names | {_without_tag(name) for name in names}


def _without_tag(name: str) -> str:
    repository, colon, tag = name.rpartition(":")
    return repository if colon and "/" not in tag else name
