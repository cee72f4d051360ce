"""Which OCI runtime makes a container: ours, one of Debian's, or one that the operator named."""

import os
from collections.abc import Mapping

from wherry.kit.values import dataclass, field
from wherry.model.errors.containers import UnknownRuntime
from wherry.tasks import ForeignRuntimeChoice

OURS = "wherry"
_OUR_NAMES = (OURS, "wherry-runtime", "io.containerd.runc.v2")
"""The last is what clients of Docker name who want the default one."""
_KNOWN = ("runc", "crun", "runsc")
"""Can be asked for without a word in the configuration, if the host has their program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeTable:
    """The runtimes that a container may ask for, by name."""

    default: str = OURS
    configured: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Path and arguments, from the daemon's settings."""

    @property
    def commands(self) -> dict[str, tuple[str, ...]]:
        """What `docker info` lists: ours, what the host has, and the configured ones."""
        ours = dict.fromkeys((OURS, _OUR_NAMES[-1]), ("wherry-runtime",))
        found = {name: (name,) for name in _KNOWN if _is_installed(name)}
        return {**ours, **found, **self.configured}

    def resolve(self, name: str) -> str:
        """The name of a runtime that is there; the default's for none. Raises: UnknownRuntime."""
        wanted = name or self.default
        if wanted in self.configured or wanted in _OUR_NAMES or wanted in _KNOWN:
            return wanted
        raise UnknownRuntime(wanted)

    def choice(self, name: str) -> ForeignRuntimeChoice | None:
        """How to use a runtime that is not ours; None for ours. Raises: UnknownRuntime."""
        resolved = self.resolve(name)
        if resolved in _OUR_NAMES and resolved not in self.configured:
            return None
        path, *arguments = self.configured.get(resolved, (resolved,))
        return ForeignRuntimeChoice(
            name=os.path.basename(path),
            path=path,
            arguments=tuple(arguments),
        )


def _is_installed(name: str) -> bool:
    places = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin")
    return any(os.access(f"{place}/{name}", os.X_OK) for place in places)
