"""What a plan is made of: actions on the engine, in words that Compose has for them.

An action is a value that says what is to be done to one thing; a `Step` is an action with its
reason and the steps that must be over before it. Nothing here does anything.
"""

from collections.abc import Iterable
from enum import Enum, auto

from wherry.compose.making import Making
from wherry.compose.observing import SeenContainer
from wherry.kit.values import dataclass, field

STARTED, HEALTHY, COMPLETED = (
    "service_started",
    "service_healthy",
    "service_completed_successfully",
)
RUNNING_OR_HEALTHY = "running_or_healthy"
"""What `--wait` waits for: healthy where there is a health check, else running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something to be done. `subjects` are the lines that tell of it."""

    subjects: tuple[str, ...]
    doing: str
    done: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateNetwork(Action):
    """Make the network of a key."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveNetwork(Action):
    """Remove a network; one that is still in use stays, and that is told."""

    identifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateVolume(Action):
    """Make the volume of a key."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveVolume(Action):
    """Remove a volume; one that is still in use stays, and that is told."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullImage(Action):
    """Fetch a service's image from its registry."""

    service: str
    reference: str
    platform: str = ""
    may_fail: bool = False
    """Whether the command goes on without it, since it is there or can be built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushImage(Action):
    """Send a service's image to its registry."""

    service: str
    reference: str
    may_fail: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildImage(Action):
    """Build a service's image."""

    service: str
    reference: str
    only_if_missing: bool = False
    """Whether a pull before it may have made it needless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveImage(Action):
    """Remove an image; one that is still in use stays, and that is told."""

    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateContainer(Action):
    """Make a container that isn't there."""

    making: Making


@dataclass(frozen=True, slots=True, kw_only=True)
class RecreateContainer(Action):
    """Make a container in place of one: made beside it, which is then stopped and removed."""

    making: Making
    replaced: SeenContainer
    timeout_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartContainer(Action):
    """Start a container, by name, and run its service's hooks in it."""

    service: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopContainer(Action):
    """Stop a container, after its service's hooks."""

    container: SeenContainer
    timeout_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveContainer(Action):
    """Remove a container that is stopped."""

    container: SeenContainer
    with_volumes: bool = False
    is_forced: bool = True


class Verb(Enum):
    """What is done to a running container by one request."""

    RESTART = auto()
    KILL = auto()
    PAUSE = auto()
    UNPAUSE = auto()


_VERB_WORDS = {
    Verb.RESTART: ("Restarting", "Started"),
    Verb.KILL: ("Killing", "Killed"),
    Verb.PAUSE: ("", "Paused"),
    Verb.UNPAUSE: ("", "Unpaused"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContainer(Action):
    """Do one of the verbs to a container."""

    verb: Verb
    container: SeenContainer
    signal: str = ""
    timeout_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepContainer(Action):
    """Leave a container as it is: it is what it should be, and it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitService(Action):
    """Wait until the containers of a service are as somebody who depends on it needs them."""

    service: str
    names: tuple[str, ...]
    condition: str
    is_required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An action, why it is taken, and the keys of the steps that must be over before it."""

    key: str
    action: Action
    reason: str = ""
    after: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Plan:
    """Steps in an order in which they could be taken one by one, and what to warn of before."""

    steps: list[Step] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, key: str, action: Action, reason: str = "", after: Iterable[str] = ()) -> str:
        """Append a step; its key. What it waits for and isn't planned is over already."""
        known = {step.key for step in self.steps}
        self.steps.append(
            Step(key=key, action=action, reason=reason, after=frozenset(after) & known)
        )
        return key

    def keys(self, *prefixes: str) -> list[str]:
        """The keys that begin with one of the prefixes."""
        return [step.key for step in self.steps if step.key.startswith(prefixes)]

    def split(self) -> "tuple[Plan, Plan]":
        """What is made, and what is started after all of that."""
        parts = (Plan(warnings=self.warnings), Plan())
        for step in self.steps:
            is_start = isinstance(step.action, StartContainer | AwaitService)
            parts[is_start].add(step.key, step.action, step.reason, step.after)
        return parts

    @property
    def changes(self) -> list[Step]:
        """The steps that change something."""
        return [
            step
            for step in self.steps
            if not isinstance(step.action, KeepContainer | AwaitService)
        ]


def stopping(container: SeenContainer, timeout_s: int | None = None) -> StopContainer:
    """The action that stops a container."""
    return StopContainer(
        subjects=(f"Container {container.name}",),
        doing="Stopping",
        done="Stopped",
        container=container,
        timeout_s=timeout_s,
    )


def removing(
    container: SeenContainer, *, with_volumes: bool = False, is_forced: bool = True
) -> RemoveContainer:
    """The action that removes a container."""
    return RemoveContainer(
        subjects=(f"Container {container.name}",),
        doing="Removing",
        done="Removed",
        container=container,
        with_volumes=with_volumes,
        is_forced=is_forced,
    )


def starting(service: str, name: str) -> StartContainer:
    """The action that starts a container."""
    return StartContainer(
        subjects=(f"Container {name}",),
        doing="Starting",
        done="Started",
        service=service,
        name=name,
    )


def calling(
    verb: Verb, container: SeenContainer, *, signal: str = "", timeout_s: int | None = None
) -> CallContainer:
    """The action that does a verb to a container."""
    doing, done = _VERB_WORDS[verb]
    return CallContainer(
        subjects=(f"Container {container.name}",),
        doing=doing,
        done=done,
        verb=verb,
        container=container,
        signal=signal,
        timeout_s=timeout_s,
    )


def awaiting(
    service: str, names: Iterable[str], condition: str, *, is_required: bool = True
) -> AwaitService:
    """The action that waits for a service."""
    waited = tuple(names)
    return AwaitService(
        subjects=tuple(f"Container {name}" for name in waited),
        doing="Waiting",
        done="Exited" if condition == COMPLETED else "Healthy",
        service=service,
        names=waited,
        condition=condition,
        is_required=is_required,
    )
