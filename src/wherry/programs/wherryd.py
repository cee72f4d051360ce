"""The engine daemon: settings, listeners, the engine, the API; containers outlive it."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence

# isort: split
from wherry.programs import lean_libraries  # noqa: F401  (before what it is about)

# isort: split
from wherry.api import serve
from wherry.api.errors import message_of
from wherry.linux import heap
from wherry.model.errors import WherryError
from wherry.programs import daemon_log
from wherry.programs.listeners import close_listeners, open_listeners
from wherry.programs.new_roots import NewRoots
from wherry.programs.pid_file import held_data_root, held_pid_file
from wherry.programs.reloading import taken_over
from wherry.programs.settings import Settings, SettingsError, Told, parse_settings
from wherry.programs.version import VERSION
from wherry.programs.wiring import RunningEngine, running_engine, taken_down

_log = logging.getLogger("wherryd")


class Daemon:
    """One run of the program; called `dockerd`, it behaves as that."""

    def __init__(self, arguments: Sequence[str], program: str) -> None:
        self._arguments = arguments
        self._program = program
        self._settings = self._read_settings()

    def _read_settings(self) -> Settings:
        return parse_settings(self._arguments, VERSION, program=self._program)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises: SettingsError; kinds of the error model."""
        settings = self._settings
        daemon_log.start(settings)
        for line in settings.warnings:
            _log.warning("%s", line)
        if os.geteuid() != 0:
            raise SettingsError(f"{self._program} needs to be started as root")
        os.umask(0o022)
        _export_proxies(settings)
        roots = NewRoots(
            data_root=settings.data_root,
            exec_root=settings.exec_root,
            others=[os.path.dirname(settings.pid_file)],
        )
        with roots.taken_back():
            os.makedirs(settings.data_root, exist_ok=True)
            with (
                held_pid_file(settings.pid_file),
                held_data_root(settings.data_root),
                roots.emptied(),
            ):
                _protect_from_oom(settings.oom_score_adjust)
                heap.share_one_arena()
                asyncio.run(taken_down(settings) if settings.takes_down else self._serve(roots))

    async def _serve(self, roots: NewRoots) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        listeners = open_listeners(self._settings)
        try:
            async with running_engine(self._settings) as running:
                server = await serve(
                    running.services,
                    [each.socket for each in listeners],
                    tls={each.socket: each.tls for each in listeners if each.tls},
                    version=VERSION,
                )
                loop.add_signal_handler(signal.SIGHUP, self._reload, running)
                heap.settle()
                roots.keep()
                _log.info("daemon.ready hosts=%s", ",".join(self._settings.hosts))
                await stopped.wait()
                _log.info("daemon.stopping")
                await server.close()
        finally:
            close_listeners(listeners)

    def _reload(self, running: RunningEngine) -> None:
        """SIGHUP: a good file is taken over, a bad one changes nothing."""
        try:
            read = self._read_settings()
        except (SettingsError, Told) as problem:
            _log.error("daemon.not_reloaded reason=%s", problem)
            return
        self._settings = taken_over(self._settings, read)
        daemon_log.follow(self._settings)
        for line in self._settings.warnings:
            _log.warning("%s", line)
        running.reload(self._settings)
        _log.info("daemon.reloaded file=%s", self._settings.config_file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon; the exit code."""
    program = "dockerd" if os.path.basename(sys.argv[0]) == "dockerd" else "wherryd"
    try:
        Daemon(sys.argv[1:] if arguments is None else arguments, program).run()
    except Told as told:
        print(told)
    except SettingsError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except WherryError as error:
        print(f"{program}: {message_of(error)}", file=sys.stderr)
        return 1
    return 0


def _export_proxies(settings: Settings) -> None:
    """What fetches for the engine finds its proxy where every HTTP client looks for it."""
    for name, value in (
        ("HTTP_PROXY", settings.http_proxy),
        ("HTTPS_PROXY", settings.https_proxy),
        ("NO_PROXY", settings.no_proxy),
    ):
        if value:
            os.environ[name] = value


def _protect_from_oom(adjustment: int) -> None:
    """Ask the kernel to end the daemon late; needs CAP_SYS_RESOURCE, so it may refuse."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(adjustment))


if __name__ == "__main__":
    sys.exit(main())
