"""What the kernel must know of before a container can be confined by it."""

import logging
import os
import shutil
import subprocess
import threading

from wherry.linux import apparmor
from wherry.model.errors.containers import StartFailed
from wherry.operations.plan import Hands, OperationFailed, execute
from wherry.operations.processes.apparmor import LoadAppArmorProfile
from wherry.specgen import DEFAULT_PROFILE, default_profile_text

_PARSER = "apparmor_parser"
_PARSER_TIMEOUT_S = 120
_SYSTEM_PATH = "/usr/sbin:/sbin"

_log = logging.getLogger(__name__)


class AppArmorProfiles:
    """Loads the default profile when a container is first to be confined by it."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._is_current = False

    def ensure(self, profile: str) -> None:
        """Have the default profile in the kernel, and our version of it. Blocking.

        Other profiles are their authors' to load. One that somebody took out of the kernel
        since is loaded again.

        Raises: StartFailed.
        """
        if profile != DEFAULT_PROFILE:
            return
        with self._loading:
            if self._is_current and apparmor.is_loaded(profile):
                return
            try:
                _load_default()
            except (OSError, subprocess.SubprocessError, OperationFailed) as error:
                raise StartFailed(
                    f"AppArmor enabled on system but the {profile} profile could not be loaded: "
                    f"{error}"
                ) from error
            self._is_current = True
        _log.info("apparmor.loaded profile=%s", profile)


def _load_default() -> None:
    text = default_profile_text(engine=apparmor.profile_of())
    load = LoadAppArmorProfile(
        profile=DEFAULT_PROFILE,
        policy=_compiled(text),
        why="default: containers are confined by it (--security-opt apparmor=...)",
    )
    execute((load,), Hands(), [])


def _compiled(text: str) -> bytes:
    """The kernel's form of a profile. Raises: OSError, SubprocessError."""
    path = f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PATH}"
    parser = shutil.which(_PARSER, path=path)
    if parser is None:
        raise FileNotFoundError(f"there is no {_PARSER} (install the package apparmor)")
    done = subprocess.run(
        # No cache: the text, not its age on some disk, says what is compiled.
        [parser, "--skip-kernel-load", "--skip-cache", "--stdout"],
        input=text.encode(),
        capture_output=True,
        timeout=_PARSER_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise OSError(f"{_PARSER}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
