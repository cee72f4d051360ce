"""Kinds of failure. The edge maps each kind to a status and to Docker's text.

Here are the kinds, and failures of any noun; a noun's own have a module of their own.
A failure carries fields, never ready-made prose: that is made where it is told. `__str__` is for
logs. The one exception are sentences that others have written: a registry's, a plugin's, Docker's.
"""

from typing import dataclass_transform

from wherry.kit.values import dataclass


@dataclass_transform(eq_default=False)
@dataclass(eq=False)
class WherryError(Exception):
    """Any failure that we understand; the annotations of a subclass are its fields."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(eq=False)(cls)

    def __str__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"


# -- kinds ---------------------------------------------------------------------------------------


class NotFound(WherryError):
    """What was named does not exist."""


class AlreadyExists(WherryError):
    """The name is taken."""


class Conflict(WherryError):
    """The thing is in a state that does not allow this."""


class InvalidRequest(WherryError):
    """The request can never be right."""


class Forbidden(WherryError):
    """Understood and refused."""


class Unauthorized(WherryError):
    """Who asks is not known."""


class Unavailable(WherryError):
    """Not now: something that we need does not answer."""


class NotSupported(WherryError):
    """Not built yet, or this host can't do it."""


class Cancelled(WherryError):
    """Given up on request."""


class Broken(WherryError):
    """Our own fault, or the machine's."""


# -- general -------------------------------------------------------------------------------------


class InvalidField(InvalidRequest):
    """A value that a field can't have; `problem` is a clause such as `must be positive`."""

    field: str
    value: object
    problem: str


class InvalidValue(InvalidRequest):
    """A request that is wrong in a way that Docker has a sentence of its own for."""

    sentence: str


class FeatureMissing(NotSupported):
    """Something of Docker's that Wherry does not have yet."""

    feature: str


class HostLacks(NotSupported):
    """Something that this kernel or host does not offer."""

    feature: str
    missing: str


class StepFailed(Broken):
    """A step that should have worked did not; `cause` is what the machine said."""

    step: str
    cause: str


class StateUnreadable(Broken):
    """A file or row of our own that can't be understood."""

    place: str
    problem: str


class ContentDamaged(Broken):
    """Blobs that were not what they are called; they are removed."""

    damaged: int
    checked: int


class PruneRunning(Conflict):
    """Somebody else is pruning things of this kind."""

    kind: str


class NoCluster(Unavailable):
    """Something that a cluster's manager can do, asked of an engine that is in none."""
