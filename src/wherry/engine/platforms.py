"""Programs for other processors: which platforms run here, by themselves or by an emulator.

Debian's `qemu-user-static` brings the emulators and, in /usr/lib/binfmt.d, the rules by which the
kernel calls them. Enabling a platform registers its rule now and at each start of the engine;
what others have registered (a privileged container, systemd) counts as well, since the kernel is
asked each time.
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Mapping, Sequence

from wherry.images import platform_from, platform_of
from wherry.kit.aio import OffloadPool
from wherry.kit.atomic_files import write_durably
from wherry.linux.binfmt_misc import ProgramFormat, parse_rule
from wherry.model.errors import HostLacks, InvalidField, StepFailed
from wherry.model.images import EmulatedPlatform, Image
from wherry.oci.image_spec import Platform
from wherry.oci.platforms import formatted, normalised, rank
from wherry.operations.plan import Hands, Journal, Operation, OperationFailed, execute
from wherry.operations.processes.program_formats import (
    MountFormats,
    RegisterFormat,
    UnregisterFormat,
    registered,
)

RULES = "/usr/lib/binfmt.d"
EMULATORS: Mapping[str, str] = {
    "386": "i386",
    "amd64": "x86_64",
    "arm": "arm",
    "arm64": "aarch64",
    "loong64": "loongarch64",
    "mips64le": "mips64el",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
"""What qemu calls the architectures of images."""
_COUSINS = {"amd64": ("386",), "arm64": ("arm",)}
"""What a processor runs besides its own."""

_ENABLED, _DISABLED = "the platform was enabled", "the platform was disabled"

_log = logging.getLogger(__name__)


class Platforms:
    """The verbs on platforms."""

    def __init__(self, *, data_root: str, host: Platform, offload: OffloadPool) -> None:
        self._path = os.path.join(data_root, "platforms.json")
        self._host = host
        self._offload = offload
        self._changing = asyncio.Lock()

    async def list(self) -> Sequence[EmulatedPlatform]:
        """The host's platform, and those that can be enabled."""
        return await self._offload(_everything, self._host)

    async def enable(self, text: str) -> EmulatedPlatform:
        """Have the kernel run a platform's programs, from now on.

        Raises: InvalidField, HostLacks, StepFailed.
        """
        async with self._changing:
            rule = self._rule(text)
            await self._offload(_register, rule)
            await self._offload(self._keep, {*self._kept(), self._architecture(text)})
        return await self._one(text)

    async def disable(self, text: str) -> EmulatedPlatform:
        """Have the kernel refuse them again; containers that run are left alone.

        Raises: InvalidField, HostLacks, StepFailed.
        """
        async with self._changing:
            name = parse_rule(self._rule(text)).name
            await self._offload(_perform, UnregisterFormat(why=_DISABLED, name=name))
            await self._offload(self._keep, {*self._kept()} - {self._architecture(text)})
        return await self._one(text)

    def restore(self) -> None:
        """At a start of the engine: what was enabled is enabled again."""
        for architecture in self._kept():
            try:
                _register(_rule_of(architecture))
            except (HostLacks, StepFailed) as error:
                _log.warning("platform.unusable architecture=%s problem=%s", architecture, error)

    async def _one(self, text: str) -> EmulatedPlatform:
        wanted = formatted(Platform(os="linux", architecture=self._architecture(text)))
        return next(each for each in await self.list() if each.platform == wanted)

    def _rule(self, text: str) -> str:
        architecture = self._architecture(text)
        if architecture == self._host.architecture or architecture not in EMULATORS:
            raise InvalidField("platform", text, "is not one that an emulator is known for")
        return _rule_of(architecture)

    def _architecture(self, text: str) -> str:
        wanted = platform_from(text, self._host)
        if not text or wanted.os != "linux":
            raise InvalidField("platform", text, "must be one of linux, such as linux/arm64")
        return wanted.architecture

    def _kept(self) -> Sequence[str]:
        try:
            with open(self._path, encoding="ascii") as file:
                return [str(each) for each in json.load(file)]
        except (FileNotFoundError, ValueError):
            return []

    def _keep(self, architectures: set[str]) -> None:
        if architectures:
            write_durably(self._path, json.dumps(sorted(architectures)).encode())
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)


def platform_warnings(image: Image, host: Platform, *, was_asked: bool) -> tuple[str, ...]:
    """What to tell about an image that is not for this machine's processor."""
    platform = normalised(platform_of(image))
    if rank(host, platform) is not None:
        return ()
    shown = formatted(platform)
    warnings = []
    if not was_asked:
        warnings.append(
            f"The requested image's platform ({shown}) does not match the detected host platform "
            f"({formatted(host)}) and no specific platform was requested"
        )
    if not _runs(platform.architecture, host, _known_formats()):
        warnings.append(
            f"Nothing on this host runs programs for {shown}: they will end with an exec format "
            f'error. "wherry platform enable {shown}" registers an emulator with the kernel'
        )
    return tuple(warnings)


def _everything(host: Platform) -> Sequence[EmulatedPlatform]:
    known = _known_formats()
    found = [EmulatedPlatform(platform=formatted(host), is_enabled=True, runs_by="the processor")]
    for architecture in sorted(EMULATORS.keys() - {host.architecture}):
        by = _runs(architecture, host, known)
        shown = formatted(Platform(os="linux", architecture=architecture))
        if by or os.path.exists(_rule_path(architecture)):
            found.append(EmulatedPlatform(platform=shown, is_enabled=bool(by), runs_by=by))
    return found


def _runs(architecture: str, host: Platform, known: Sequence[ProgramFormat]) -> str:
    """What runs an architecture's programs; empty for nothing."""
    if architecture in _COUSINS.get(host.architecture, ()):
        return "the processor"
    try:
        start = parse_rule(_rule_of(architecture)).magic
    except (HostLacks, ValueError):
        return ""
    taking = (each.interpreter for each in known if each.is_enabled and each.takes(start))
    return next(taking, "")


def _known_formats() -> Sequence[ProgramFormat]:
    try:
        return registered()
    except OSError:
        return ()  # A kernel without binfmt_misc runs nothing foreign.


def _rule_path(architecture: str) -> str:
    return f"{RULES}/qemu-{EMULATORS.get(architecture, architecture)}.conf"


def _rule_of(architecture: str) -> str:
    """The line for the kernel. Raises: HostLacks."""
    try:
        with open(_rule_path(architecture), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError as error:
        raise HostLacks(
            f"running programs for linux/{architecture}", "Debian's package qemu-user-static"
        ) from error


def _register(rule: str) -> None:
    name = parse_rule(rule).name
    _perform(MountFormats(why=_ENABLED), RegisterFormat(why=_ENABLED, name=name, rule=rule))


def _perform(*plan: Operation) -> None:
    hands = Hands()
    try:
        execute(plan, hands, Journal())
    except OperationFailed as failure:
        raise StepFailed(failure.entry.operation.describe(), failure.entry.error) from failure
    finally:
        hands.close()
