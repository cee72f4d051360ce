"""Where another runtime sends the master of a terminal that it has made."""

import os
import socket
from contextlib import suppress

from wherry.linux.sockets import bind_at

_NAME = "console.sock"
_TIMEOUT_S = 10


class ConsoleSocket:
    """A socket in a bundle for the time of a block; none for a process without a terminal."""

    def __init__(self, directory: str) -> None:
        """The directory is the bundle, or empty."""
        self.path = ""
        self._listener: socket.socket | None = None
        self._directory = -1
        if directory:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            self._directory = os.open(directory, flags)
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            bind_at(self._listener, self._directory, _NAME)
            self._listener.listen(1)
            # By our descriptor: a bundle's path may be longer than a socket's may be.
            self.path = f"/proc/{os.getpid()}/fd/{self._directory}/{_NAME}"

    def __enter__(self) -> "ConsoleSocket":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._listener is not None:
            self._listener.close()
            with suppress(FileNotFoundError):
                os.unlink(_NAME, dir_fd=self._directory)
            os.close(self._directory)

    def master(self) -> int:
        """The descriptor that the runtime has sent before it ended. Raises: OSError."""
        assert self._listener is not None
        self._listener.settimeout(_TIMEOUT_S)
        connection, _address = self._listener.accept()
        with connection:
            _data, descriptors, _flags, _from = socket.recv_fds(connection, 4096, 1)
        if len(descriptors) != 1:
            raise OSError("the runtime sent no terminal")
        os.set_inheritable(descriptors[0], False)
        return descriptors[0]
