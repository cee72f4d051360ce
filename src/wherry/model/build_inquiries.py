"""What can be asked of a Dockerfile instead of building it, and the answers."""

from enum import Enum

from wherry.kit.values import dataclass


class Inquiry(Enum):
    """What is asked. The values are words of BuildKit's frontend."""

    CHECK = "lint"
    """Which rules of `build.checks` it does not keep."""
    OUTLINE = "outline"
    """What a build of the target can be given."""
    TARGETS = "targets"
    """Which stages there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedTarget:
    """A stage."""

    name: str
    is_default: bool
    """It is built where none is named."""
    description: str
    base: str
    platform: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedArgument:
    """An argument of a build."""

    name: str
    value: str
    """What the user gives, or its default."""
    description: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedMount:
    """A secret, an agent or a cache, by its id."""

    name: str
    is_required: bool
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a target can be given."""

    name: str
    description: str
    arguments: tuple[DescribedArgument, ...] = ()
    secrets: tuple[DescribedMount, ...] = ()
    agents: tuple[DescribedMount, ...] = ()
    caches: tuple[DescribedMount, ...] = ()
