"""Builds: what is asked for, whichever door it came by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wherry.model.limits import Limits
from wherry.model.networks import NetworkMode


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """A build of one target for one platform; its context comes beside it, as a tar."""

    dockerfile: str = "Dockerfile"
    """Where it is in the context."""
    names: tuple[str, ...] = ()
    """What the image is to be called, each with its tag or without."""
    target: str = ""
    """A stage by name or number; empty for the last one."""
    arguments: Mapping[str, str | None] = field(default_factory=dict)
    """None: mentioned without a value."""
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    uses_cache: bool = True
    pulls_always: bool = False
    is_quiet: bool = False
    keeps_containers: bool = False
    """Leave the containers of RUN steps behind (`--rm=false`)."""
    network: NetworkMode = field(default_factory=NetworkMode)
    extra_hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    shm_bytes: int = 0
    cgroup_parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRecord:
    """One step's result that a later build may use again."""

    key: str
    description: str
    size_bytes: int
    created_at_ns: int
    used_at_ns: int
    use_count: int
