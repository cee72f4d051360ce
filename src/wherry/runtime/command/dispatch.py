"""From a command line to what it does: global flags, the verbs, and how a failure is told."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module

from wherry.kit.timestamps import rfc3339_nano
from wherry.kit.values import dataclass
from wherry.oci.runtime_spec import VERSION
from wherry.runtime.command.arguments import Arguments, Flag, UsageError, read_arguments
from wherry.runtime.command.records import CommandFailed, StateDirectory

DEFAULT_ROOT = "/run/wherry-runtime"

_GLOBAL = (
    Flag(name="root", help="directory for the state of containers"),
    Flag(name="log", help="file for errors; standard error otherwise"),
    Flag(name="log-format", help="text or json"),
    Flag(
        name="debug", takes_value=False, help="accepted for runc's callers: nothing more is told"
    ),
    Flag(name="systemd-cgroup", takes_value=False, help="refused: cgroups are made directly"),
    Flag(name="rootless", help="true, false or auto: this runtime needs root"),
    Flag(name="criu", help="accepted for runc's callers: there is no checkpoint to use it"),
    Flag(name="help", short="h", takes_value=False),
    Flag(name="version", short="v", takes_value=False),
)
_MAKING = (
    Flag(name="bundle", short="b", help="directory of config.json; the current one otherwise"),
    Flag(name="console-socket", help="socket that gets the terminal's master"),
    Flag(name="pid-file", help="file for the pid of process 1"),
    Flag(name="no-pivot", takes_value=False, help="move the root instead of pivot_root(2)"),
    Flag(name="no-new-keyring", takes_value=False, help="keep the session keyring"),
    Flag(name="preserve-fds", help="how many descriptors after 2 the program gets"),
)
_DETACH = Flag(name="detach", short="d", takes_value=False, help="don't wait for its end")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A command: its flags, and the function that does it, imported when it is wanted."""

    does: str
    """`module:function`, below this package."""
    help: str
    flags: tuple[Flag, ...] = ()


VERBS: Mapping[str, Verb] = {
    "create": Verb(does="making:create_container", help="make a container", flags=_MAKING),
    "start": Verb(does="making:start_container", help="start a created container"),
    "run": Verb(
        does="making:run_container",
        help="create and start",
        flags=(
            *_MAKING,
            _DETACH,
            Flag(name="keep", takes_value=False, help="don't delete it after its end"),
            Flag(name="no-subreaper", takes_value=False, help="don't adopt orphans"),
        ),
    ),
    "state": Verb(does="looking:show_state", help="print a container's state"),
    "kill": Verb(
        does="ending:kill_container",
        help="send a signal",
        flags=(Flag(name="all", short="a", takes_value=False, help="to all of its processes"),),
    ),
    "delete": Verb(
        does="ending:delete_container",
        help="remove a stopped container",
        flags=(Flag(name="force", short="f", takes_value=False, help="kill it first"),),
    ),
    "exec": Verb(
        does="executing:exec_process",
        help="run one more process",
        flags=(
            Flag(name="console-socket", help="socket that gets the terminal's master"),
            Flag(name="cwd", help="directory to start in"),
            Flag(name="env", short="e", is_list=True, help="NAME=value, repeatable"),
            Flag(name="tty", short="t", takes_value=False, help="with a terminal"),
            Flag(name="user", short="u", help="UID[:GID]"),
            Flag(name="additional-gids", short="g", is_list=True, help="more groups"),
            Flag(name="process", short="p", help="file with process of config.json"),
            _DETACH,
            Flag(name="pid-file", help="file for its pid"),
            Flag(name="process-label", help="SELinux label"),
            Flag(name="apparmor", help="AppArmor profile"),
            Flag(name="no-new-privs", takes_value=False, help="no execve gains privileges"),
            Flag(name="cap", short="c", is_list=True, help="one more capability"),
            Flag(name="preserve-fds", help="how many descriptors after 2 it gets"),
            Flag(name="ignore-paused", takes_value=False, help="also in a paused container"),
        ),
    ),
    "pause": Verb(does="changing:pause_container", help="freeze a container"),
    "resume": Verb(does="changing:resume_container", help="thaw it"),
    "ps": Verb(
        does="looking:show_processes",
        help="print its processes",
        flags=(Flag(name="format", short="f", help="table or json"),),
    ),
    "events": Verb(
        does="looking:show_events",
        help="print statistics",
        flags=(
            Flag(name="interval", help="between two, such as 5s"),
            Flag(name="stats", takes_value=False, help="once"),
        ),
    ),
    "update": Verb(
        does="changing:update_container",
        help="change limits",
        flags=(
            Flag(name="resources", short="r", help="file with linux.resources, - for stdin"),
            *(
                Flag(name=each)
                for each in (
                    "blkio-weight", "cpu-period", "cpu-quota", "cpu-burst", "cpu-share",
                    "cpu-rt-period", "cpu-rt-runtime", "cpuset-cpus", "cpuset-mems",
                    "kernel-memory", "kernel-memory-tcp", "memory", "memory-reservation",
                    "memory-swap", "pids-limit", "cpu-idle",
                )
            ),
        ),
    ),
    "list": Verb(
        does="looking:list_containers",
        help="print every container",
        flags=(
            Flag(name="format", short="f", help="table or json"),
            Flag(name="quiet", short="q", takes_value=False, help="ids only"),
        ),
    ),
    "spec": Verb(
        does="documents:write_spec",
        help="write an example config.json",
        flags=(
            Flag(name="bundle", short="b", help="directory for it"),
            Flag(name="rootless", takes_value=False, help="for a user namespace"),
        ),
    ),
    "features": Verb(does="documents:show_features", help="print what this runtime can do"),
}  # fmt: skip


def main(words: list[str], version: str) -> int:
    """Do what a command line says; the exit code."""
    try:
        options = read_arguments(words, _GLOBAL)
    except UsageError as error:
        sys.stderr.write(f"wherry-runtime: {error}\n")
        return 1
    if options.has("version"):
        sys.stdout.write(f"wherry-runtime version {version}\nspec: {VERSION}\n")
        return 0
    if options.has("help") or not options.operands:
        sys.stdout.write(_help())
        return 0
    name, *rest = options.operands
    verb = VERBS.get(name)
    try:
        if verb is None:
            raise UsageError(f"No help topic for '{name}'")
        arguments = read_arguments(
            rest, (*verb.flags, Flag(name="help", short="h", takes_value=False))
        )
        if arguments.has("help"):
            sys.stdout.write(_verb_help(name, verb))
            return 0
        _check_global(options)
        state = StateDirectory(os.path.abspath(options.text("root") or DEFAULT_ROOT))
        return _function(verb)(state, arguments)
    except UsageError as error:
        _tell(options, f"{name}: {error}")
        return 1
    except CommandFailed as error:
        prefix = f"wherry-runtime {name} failed: " if name in ("create", "run") else ""
        _tell(options, f"{prefix}{error}")
        return error.exit_code
    except (OSError, ValueError) as error:
        _tell(options, f"wherry-runtime {name} failed: {_sentence(error)}")
        return 1


def _function(verb: Verb) -> Callable[[StateDirectory, Arguments], int]:
    module, _, function = verb.does.partition(":")
    found: Callable[[StateDirectory, Arguments], int] = getattr(
        import_module(f"wherry.runtime.command.{module}"), function
    )
    return found


def _check_global(options: Arguments) -> None:
    if options.has("systemd-cgroup"):
        raise CommandFailed(
            "--systemd-cgroup is not supported: this runtime makes cgroups itself; "
            "have your engine use the cgroupfs manager"
        )
    if options.text("log-format", "text") not in ("text", "json"):
        raise CommandFailed(f"invalid log-format: {options.text('log-format')}")
    if options.text("rootless", "auto") == "true":
        raise CommandFailed("--rootless=true is not supported: this runtime needs root")


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"open {os.fsdecode(error.filename)}: {error.strerror.lower()}"
    return str(error)


def _tell(options: Arguments, message: str) -> None:
    """An error goes to the log, in the form that is asked for, and to standard error."""
    at = rfc3339_nano(time.time_ns())
    if options.text("log-format") == "json":
        line = json.dumps({"level": "error", "msg": message, "time": at})
    else:
        line = f"time={json.dumps(at)} level=error msg={json.dumps(message)}"
    path = options.text("log")
    if not path:
        sys.stderr.write(f"{line}\n")
        return
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    except OSError as error:
        sys.stderr.write(f"{path}: {error.strerror}\n")
    sys.stderr.write(f"{message}\n")


def _help() -> str:
    lines = [
        "NAME:\n   wherry-runtime - runs containers by the OCI runtime specification\n",
        "USAGE:\n   wherry-runtime [global options] command [command options] [arguments...]\n",
        "COMMANDS:",
        *(f"   {name:<12}{verb.help}" for name, verb in VERBS.items()),
        "\nGLOBAL OPTIONS:",
        *_flag_lines(_GLOBAL),
    ]
    return "\n".join(lines) + "\n"


def _verb_help(name: str, verb: Verb) -> str:
    lines = [
        f"NAME:\n   wherry-runtime {name} - {verb.help}\n",
        "OPTIONS:",
        *_flag_lines(verb.flags),
    ]
    return "\n".join(lines) + "\n"


def _flag_lines(flags: tuple[Flag, ...]) -> list[str]:
    return [
        f"   --{each.name + (' value' if each.takes_value else ''):<26}{each.help}"
        for each in flags
    ]
