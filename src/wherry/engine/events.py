"""The one place that says what `docker events` shows."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping

from wherry.kit.clock import Clock
from wherry.model.containers import Container
from wherry.model.events import Event
from wherry.model.ids import ContainerId
from wherry.model.images import Image
from wherry.model.networks import EndpointStatus

KEPT_EVENTS = 1024
MOST_QUEUED = 4096
"""A subscriber that lags further behind is cut off, never silently skipped."""

Filters = Mapping[str, tuple[str, ...]]


class EventLog:
    """Publishes events to subscribers and keeps the latest for `since`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sequence = 0
        self._kept: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._subscribers: set[asyncio.Queue[Event | None]] = set()

    @property
    def listeners(self) -> int:
        """How many subscribers there are."""
        return len(self._subscribers)

    def publish(
        self, kind: str, action: str, actor_id: str, attributes: Mapping[str, str]
    ) -> None:
        """Something happened, now."""
        self._sequence += 1
        event = Event(
            sequence=self._sequence,
            at_ns=self._clock.now_ns(),
            kind=kind,
            action=action,
            actor_id=actor_id,
            attributes=attributes,
        )
        self._kept.append(event)
        for queue in tuple(self._subscribers):
            if queue.qsize() >= MOST_QUEUED:
                self._subscribers.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def container(self, action: str, container: Container, **attributes: str) -> None:
        """An event of a container, with the attributes that Docker gives: labels and names."""
        self.publish(
            "container",
            action,
            container.id,
            {
                **container.spec.labels,
                "image": container.spec.image,
                "name": container.name,
                **attributes,
            },
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
        """Events that match, oldest first; past ones only with `since`. Ends at `until`."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        past = tuple(self._kept) if since_ns is not None or until_ns is not None else ()
        self._subscribers.add(queue)
        try:
            for event in past:
                if _is_within(event, since_ns, until_ns) and matches(event, filters):
                    yield event
            while True:
                following = await self._next(queue, until_ns)
                if following is None:
                    return
                if matches(following, filters):
                    yield following
        finally:
            self._subscribers.discard(queue)

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


def _is_within(event: Event, since_ns: int | None, until_ns: int | None) -> bool:
    return (since_ns is None or event.at_ns >= since_ns) and (
        until_ns is None or event.at_ns <= until_ns
    )


def matches(event: Event, filters: Filters) -> bool:
    """Whether an event passes: all keys must match, any value of a key will do."""
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
            return any(_has_label(event.attributes, value) for value in values)
        case "container" | "image" | "network" | "volume" | "daemon":
            return event.kind == key and any(_names_actor(event, value) for value in values)
        case "scope":
            return "local" in values
        case _:
            return False


def _has_label(attributes: Mapping[str, str], wanted: str) -> bool:
    name, separator, value = wanted.partition("=")
    return name in attributes and (not separator or attributes[name] == value)


def _names_actor(event: Event, value: str) -> bool:
    name = event.attributes.get("name", "")
    if event.kind == "image":
        return value in (event.actor_id, name, name.partition(":")[0])
    return value == name or event.actor_id.startswith(value)
