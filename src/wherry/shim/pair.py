"""The life of a shim: from the spawner's fork to its own end.

A shim is a pair of processes at first. Making a container touches four megabytes of an
interpreter that are otherwise shared with the spawner; watching one touches less than half of
that. So the *keeper*, which stays, forks a *maker* at once and sleeps. The maker makes the
container, starts it and serves the daemon, until the container has run for a while and nothing
is under way. Then it hands its descriptors to the keeper and ends, and the pages with it. Init
becomes the keeper's child, because the keeper is a subreaper. A container that ends before that
never needs the keeper.

    spawner            keeper              maker                          daemon
    fork ------------> own session,
                       subreaper
                       fork -------------> wait for a request <---------- spawn
    fork the next <----------------------- one pair more is wanted
                       title <------------ the container's id
                       |                   listen on shim.sock
                       |                   runtime.create: init is parked
                       |                   serial 0: pid ---------------> spawn is done
                       |                   execve <---------------------- start
                       |                   ... the loop ...
                       take over <-------- hand over: quiet for a moment
                       ... the loop ...    (ends)
                       exit.json, then the exit notice -----------------> wait is done
                       the end <----------------------------------------- delete

A shim ends when its container has ended, that is on disk, and a daemon has taken note or none is
connected. A container that was never started ends with the connection that asked for it. When
one of the pair is killed the other goes as well, and the daemon clears up.
"""

import os
import select
import signal
import socket
import stat
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NoReturn

from wherry.kit import messages
from wherry.kit.messages import Message
from wherry.kit.values import dataclass
from wherry.linux.process import set_child_subreaper, set_parent_death_signal
from wherry.linux.process_title import set_title
from wherry.shim import protocol
from wherry.shim.faces import Runtime
from wherry.shim.imports import allow_imports
from wherry.shim.logger import run_logger
from wherry.shim.protocol import LOG_ORDER, SPAWN_ORDER, Refused
from wherry.shim.shim import Shim

_CRASH_NAME = "shim-crash.txt"
_LOG_VERB = "log"

Job = Callable[[Message], tuple[Message, tuple[int, ...]]]
"""Work that needs a process of one thread, which is afterwards where it was before; returns the
members of the answer and a descriptor to pass. Raises: OSError, KeyError, ValueError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a pair needs while it waits for something to do."""

    channel: socket.socket
    """The daemon's requests to the spawner."""
    wanted: int
    """A byte written here asks the spawner for the next pair."""
    runtime: Runtime
    jobs: Mapping[str, Job]
    arguments: tuple[int, int]
    """Where a process's arguments are in memory: start and length."""


def wait_as_pair(post: Post) -> NoReturn:
    """Be a keeper with a maker; in a process that the spawner has just forked.

    A keeper lives as long as its container, so it does as little as it can: each page that it
    touches is one more per container. SIGCHLD has a handler already, imports are forbidden.
    """
    status = 1
    try:
        os.setsid()
        set_child_subreaper()
        keeper_end, maker_end = messages.channel_pair()
        keeper = os.getpid()
        maker = os.fork()
        if maker == 0:
            keeper_end.close()
            _die_with(keeper)
            _make(post, maker_end)
        else:
            post.channel.close()
            os.close(post.wanted)
            maker_end.close()
            _keep(post, maker, keeper_end)
        status = 0
    except BaseException:
        # Before there is a container there is nobody to tell but the spawner's stderr.
        traceback.print_exc()
    finally:
        os._exit(status)


def _die_with(keeper: int) -> None:
    """Have the kernel kill this process when its keeper dies."""
    set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(1)


def _leave_standard_streams() -> None:
    """The spawner's stderr is the daemon's: a shim outlives both."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


# -- the keeper ------------------------------------------------------------------------------


def _keep(post: Post, maker: int, maker_end: socket.socket) -> None:
    """Sleep until the maker has a container, and again until it hands it over."""
    received = messages.receive(maker_end)
    if received is None:
        return
    _leave_standard_streams()
    if received[0].get("verb") == _LOG_VERB:
        os.waitpid(maker, 0)
        _log(post, *received)
        return
    set_title("wherry-shim", received[0]["container_id"][:12], post.arguments)
    received = messages.receive(maker_end)
    maker_end.close()
    # Only when the maker has gone is init ours to reap.
    os.waitpid(maker, 0)
    if received is not None:
        state, descriptors = received
        if state["container"]["may_sleep"]:
            _sleep_until_needed(descriptors)
        order = SPAWN_ORDER.from_json(state["order"], "order")
        with _crashes_are_told(order.bundle):
            Shim(post.runtime, order).keep(state, descriptors)


def _log(post: Post, message: Message, descriptors: list[int]) -> None:
    """Be a logger: a keeper without a container."""
    set_title("wherry-logger", message["container_id"][:12], post.arguments)
    allow_imports()
    with _crashes_are_told(message["record_directory"]):
        run_logger(LOG_ORDER.from_json(message, "log"), socket.socket(fileno=descriptors[0]))


def _sleep_until_needed(descriptors: list[int]) -> None:
    """Wait for the first request, output or end.

    Many containers only wait, and so does their keeper, without having built what it takes to
    serve them.
    """
    poll = select.poll()
    for descriptor in descriptors:
        # The log is a file, which always has something to be read.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            poll.register(descriptor, select.POLLIN)
    poll.poll()


# -- the maker -------------------------------------------------------------------------------


def _make(post: Post, keeper_end: socket.socket) -> None:
    """Do jobs until a container is asked for; make that one, and supervise it."""
    received = _next_request(post)
    while received is not None and received[0]["verb"] != "spawn":
        if received[0]["verb"] == _LOG_VERB:
            os.write(post.wanted, b"n")
            messages.send(keeper_end, received[0], tuple(received[1]))
            return
        if not _do_job(post, received[0]):
            os.write(post.wanted, b"n")
            return
        received = _next_request(post)
    if received is None:
        return
    message, descriptors = received
    os.write(post.wanted, b"n")
    os.close(post.wanted)
    post.channel.close()
    messages.send(keeper_end, {"container_id": message["container_id"]})
    _leave_standard_streams()
    set_title("wherry-shim", message["container_id"][:12], post.arguments)
    with _crashes_are_told(message["bundle"]):
        order = SPAWN_ORDER.from_json(message, "spawn")
        shim = Shim(post.runtime, order, keeper_end=keeper_end)
        shim.make(socket.socket(fileno=descriptors[0]))


def _next_request(post: Post) -> tuple[Message, list[int]] | None:
    """Wait for a request; None when the daemon or the spawner has gone."""
    poll = select.poll()
    poll.register(post.channel.fileno(), select.POLLIN)
    # The writing end of a pipe is in error when its reader has gone (poll(2)).
    poll.register(post.wanted, 0)
    ready = dict(poll.poll())
    return None if post.wanted in ready else messages.receive(post.channel)


def _do_job(post: Post, message: Message) -> bool:
    """Answer one job; False when it failed, and this process may not be where it was before."""
    serial, job = message["serial"], post.jobs.get(message["verb"])
    try:
        if job is None:
            raise ValueError(f"unknown verb {message['verb']!r}")
        results, descriptors = job(message)
    except (OSError, KeyError, ValueError) as error:
        messages.send(post.channel, protocol.refusal(serial, Refused("step", str(error))))
        return False
    messages.send(post.channel, protocol.answer(serial, **results), descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    return True


@contextmanager
def _crashes_are_told(bundle: str) -> Iterator[None]:
    """Leave a traceback in the bundle; there is nobody else to tell."""
    try:
        yield
    except Exception:
        with suppress(OSError), open(f"{bundle}/{_CRASH_NAME}", "a", encoding="utf-8") as file:
            traceback.print_exc(file=file)
