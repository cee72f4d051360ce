"""A container's logger, as the daemon sees it."""

import socket
from collections.abc import Callable
from contextlib import suppress

from wherry.kit.messages import Message
from wherry.shim.protocol import DROPPED_NOTICE
from wherry.tasks.channel import Channel, ChannelLost


class LogFeeder:
    """The process that feeds a remote receiver. Made by `Tasks.feed_log`."""

    def __init__(
        self,
        connection: socket.socket,
        *,
        on_dropped: Callable[[int, str], None],
        on_lost: Callable[[], None],
    ) -> None:
        """`on_dropped` gets how many lines the receiver will not get, and why."""
        self._on_dropped = on_dropped
        self.channel = Channel(connection, on_notice=self._on_notice, on_lost=on_lost)

    async def end(self) -> None:
        """Have it send what there is, and end: the container was not started after all."""
        with suppress(ChannelLost):
            self.channel.tell("end")
        self.let_go()

    def let_go(self) -> None:
        """Leave it to itself."""
        self.channel.close()

    def _on_notice(self, message: Message) -> None:
        if message["notice"] == DROPPED_NOTICE:
            self._on_dropped(message["lines"], message["problem"])
