"""The process that feeds a container's log to a remote receiver.

Theory of operation. A logger is a keeper without a container: forked by the spawner, it outlives
the daemon, and reads what the shim writes. So a receiver that is slow, full or gone holds up
nobody but its logger, which tries again and counts what it has to leave out (`logs.feeding`).

    daemon                              logger
    log + channel --------------------> lock `logger.lock`: one logger per container
                                        connect to the receiver
          <---------------------------- serial 0: it can, or why it can't (the container does not
                                        start then, where Docker's driver would not let it)
                                        read, send, note the place ... until `exit.json` is there
          <---------------------------- dropped notices
                                        send the rest, at most for a while; the end

The daemon starts another one with each start, and for a running container whose logger has
ended. It finds the place in `logger.json`. Where one works already, because the container was
started again at once or the daemon was, the new one waits for the lock, in case; one such is
enough.
"""

import fcntl
import os
import select
import socket
import time
from contextlib import suppress

from wherry.kit import messages
from wherry.kit.messages import Message as ChannelMessage
from wherry.linux.inotify import (
    IN_CREATE,
    IN_MODIFY,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    inotify_add_watch,
    inotify_init1,
    read_events,
)
from wherry.logs.feeding import Feed
from wherry.logs.options import ring_bytes
from wherry.logs.receivers.messages import Patience, Pieces, Receiver, ReceiverRefused
from wherry.logs.receivers.sockets import problem_text
from wherry.logs.rotation import rotation_of
from wherry.logs.targets.fluentd import parse_fluentd
from wherry.shim import protocol
from wherry.shim.protocol import EXIT_NAME, LogOrder, Refused

_LOCK_NAME = "logger.lock"
_IN_CASE_NAME = "logger.next.lock"
_SAVE_EVERY_S = 1.0
_IDLE_S = 5.0
"""A look now and then, should a change not have been told."""


def run_logger(order: LogOrder, channel: socket.socket) -> None:
    """Feed the receiver until the container has ended."""
    lock = _lock_file(order, _LOCK_NAME)
    is_first = _take(lock)
    try:
        receiver = receiver_of(order)
        if is_first and not order.is_resumed and not _connects_later(order):
            receiver.open()
    except (OSError, ValueError, ReceiverRefused) as error:
        refused = Refused("receiver", problem_text(error))
        messages.send(channel, protocol.refusal(protocol.BORN, refused))
        return
    messages.send(channel, protocol.answer(protocol.BORN))
    if not is_first:
        in_case = _lock_file(order, _IN_CASE_NAME)
        if not _take(in_case):
            return
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.close(in_case)
    Logger(order, receiver, channel).run()


def receiver_of(order: LogOrder) -> Receiver:
    """The receiver of a driver, whose module only the loggers import that need it.

    Raises: ValueError.
    """
    match order.driver:
        case "syslog":
            from wherry.logs.receivers.syslog import SyslogReceiver

            return SyslogReceiver(order.options, order.source)
        case "gelf":
            from wherry.logs.receivers.gelf import GelfReceiver

            return GelfReceiver(order.options, order.source)
        case "fluentd":
            from wherry.logs.receivers.fluentd import FluentdReceiver

            return FluentdReceiver(order.options, order.source)
        case "splunk":
            from wherry.logs.receivers.splunk import SplunkReceiver

            return SplunkReceiver(order.options, order.source)
        case "journald":
            from wherry.logs.receivers.journald import JournaldReceiver

            return JournaldReceiver(order.options, order.source)
        case "plugin":
            from wherry.logs.receivers.plugin import PluginReceiver

            return PluginReceiver(order.options, order.source)
        case _:
            raise ValueError(f"logger: no log driver named '{order.driver}' is registered")


def _connects_later(order: LogOrder) -> bool:
    return order.driver == "fluentd" and parse_fluentd(order.options).is_async


def _lock_file(order: LogOrder, name: str) -> int:
    path = f"{order.record_directory}/{name}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _take(lock: int) -> bool:
    """Take a lock; False when somebody else has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Logger:
    """Reads, sends, waits."""

    def __init__(self, order: LogOrder, receiver: Receiver, channel: socket.socket) -> None:
        """Raises: OSError."""
        rotation = rotation_of(order.driver, order.options)
        self._directory = order.record_directory
        self._receiver = receiver
        self._channel: socket.socket | None = channel
        self._pieces = Pieces()
        self._feed = Feed(
            order.path,
            order.record_directory,
            most_files=max(rotation.files, 2),
            most_bytes=ring_bytes(order.options),
        )
        self._inotify = inotify_init1()
        inotify_add_watch(
            self._inotify, self._directory, IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO
        )
        self._poll = select.poll()
        self._poll.register(self._inotify, select.POLLIN)
        self._poll.register(channel, select.POLLIN)
        self._is_told_to_end = False
        self._failures = 0
        """How often in a row the receiver took nothing."""
        self._saved_at = time.monotonic()
        self._told_dropped = self._feed.place.dropped

    def run(self) -> None:
        """Until the container has ended and its lines are sent, or given up."""
        ended_at: float | None = None
        while True:
            # Looked at before reading: what is written before the end is read after it.
            has_ended = self._has_ended()
            is_dry = self._send_batch()
            if not has_ended:
                ended_at = None  # Or it has been started again.
            elif ended_at is None:
                ended_at = time.monotonic()
            if has_ended and is_dry:
                break
            if ended_at is not None and self._is_past_grace(ended_at):
                self._feed.give_up()
                break
            if is_dry:
                self._wait(_IDLE_S)
            elif self._failures:
                self._wait_in_trouble()
        self._tell_dropped()
        self._save()
        self._receiver.close()
        self._feed.close()

    def _is_past_grace(self, ended_at: float) -> bool:
        """Whether the receiver has had its time; one that takes lines has our own."""
        grace_s = self._receiver.patience.grace_s if self._failures else Patience().grace_s
        return time.monotonic() > ended_at + grace_s

    def _has_ended(self) -> bool:
        """Whether the shim, or the daemon for it, wrote down how; or nothing is left at all."""
        if self._is_told_to_end:
            return True
        return os.path.exists(f"{self._directory}/{EXIT_NAME}") or not os.path.exists(
            self._directory
        )

    def _send_batch(self) -> bool:
        """Send what there is; True when there is nothing more now."""
        self._make_room()
        batch = self._feed.batch()
        if not batch:
            return True
        try:
            self._receiver.send(list(self._pieces.messages(batch)))
        except (OSError, ReceiverRefused) as error:
            self._receiver.close()
            self._feed.place.problem = problem_text(error)
            self._failures += 1
            if self._failures == 1:
                self._save()
            self._give_up_batch()
            return False
        self._feed.sent()
        if self._failures or time.monotonic() > self._saved_at + _SAVE_EVERY_S:
            self._save()
        self._failures = 0
        return False

    def _give_up_batch(self) -> None:
        """After as many tries as the receiver is worth; the next lines get as many."""
        most = self._receiver.patience.most_failures
        if most is not None and self._failures % most == 0:
            self._feed.drop_batch()
            self._tell_dropped()

    def _make_room(self) -> None:
        dropped = self._feed.make_room()
        most_lines = self._receiver.patience.most_lines
        if self._failures and most_lines is not None:
            dropped += self._feed.refuse_beyond(most_lines)
        if dropped:
            self._tell_dropped()

    def _wait_in_trouble(self) -> None:
        """Until it is worth trying again; files that come meanwhile are held on to."""
        until = time.monotonic() + self._receiver.patience.pause_s(self._failures)
        while (left_s := until - time.monotonic()) > 0:
            self._wait(left_s)
            self._make_room()

    def _wait(self, seconds: float) -> None:
        """Until something in the directory changes."""
        if time.monotonic() > self._saved_at + _SAVE_EVERY_S or seconds == _IDLE_S:
            self._save()
        for descriptor, _events in self._poll.poll(seconds * 1000):
            if descriptor == self._inotify:
                for _change in read_events(self._inotify):
                    pass
            else:
                self._hear_daemon()

    def _hear_daemon(self) -> None:
        """The daemon has gone, which is nothing to us, or the start was taken back."""
        assert self._channel is not None
        try:
            received = messages.receive(self._channel)
        except (OSError, ValueError, messages.UnknownVersion):
            received = None
        if received is None:
            self._forget_daemon()
        elif received[0].get("verb") == "end":
            self._is_told_to_end = True

    def _forget_daemon(self) -> None:
        if self._channel is not None:
            self._poll.unregister(self._channel)
            self._channel.close()
            self._channel = None

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        # Of a container that was removed there is nothing to keep.
        with suppress(OSError):
            self._feed.save()

    def _tell_dropped(self) -> None:
        """Tell the daemon, if one still listens, of lines that the receiver will not get."""
        place = self._feed.place
        fresh = place.dropped - self._told_dropped
        if not fresh or self._channel is None:
            return
        self._told_dropped = place.dropped
        notice: ChannelMessage = {
            "notice": protocol.DROPPED_NOTICE,
            "lines": fresh,
            "problem": place.problem,
        }
        try:
            messages.send(self._channel, notice)
        except OSError:
            self._forget_daemon()
