"""The engine daemon: settings, listeners, the engine, the API; containers outlive it."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence

from wherry.api import serve
from wherry.model.errors import WherryError
from wherry.programs.listeners import close_listeners, open_listener
from wherry.programs.pid_file import held_data_root, held_pid_file
from wherry.programs.settings import Settings, SettingsError, parse_settings
from wherry.programs.version import VERSION
from wherry.programs.wiring import running_engine

OOM_SCORE_ADJUSTMENT = -500
_LOG_LEVELS = {"warn": "WARNING", "fatal": "CRITICAL"}

_log = logging.getLogger("wherryd")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon until SIGTERM or SIGINT; the exit code."""
    try:
        settings = parse_settings(sys.argv[1:] if arguments is None else arguments, VERSION)
        _start_logging(settings)
        if os.geteuid() != 0:
            raise SettingsError("wherryd needs to be started as root")
        os.umask(0o022)
        os.makedirs(settings.data_root, exist_ok=True)
        with held_pid_file(settings.pid_file), held_data_root(settings.data_root):
            _protect_from_oom()
            asyncio.run(_run(settings))
    except (SettingsError, WherryError) as error:
        print(f"wherryd: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(settings: Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    listeners = [open_listener(host, settings.group) for host in settings.hosts]
    try:
        async with running_engine(settings) as services:
            server = await serve(services, listeners, version=VERSION)
            gc.collect()
            gc.freeze()
            _log.info("daemon.ready hosts=%s", ",".join(settings.hosts))
            await stopped.wait()
            _log.info("daemon.stopping")
            await server.close()
    finally:
        close_listeners(settings.hosts, listeners)


def _start_logging(settings: Settings) -> None:
    level = "debug" if settings.is_debug else settings.log_level
    logging.basicConfig(
        level=_LOG_LEVELS.get(level, level.upper()),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )


def _protect_from_oom() -> None:
    """Ask the kernel to end the daemon late; needs CAP_SYS_RESOURCE, so it may refuse."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(OOM_SCORE_ADJUSTMENT))


if __name__ == "__main__":
    sys.exit(main())
