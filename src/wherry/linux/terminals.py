"""Pseudo terminals, by descriptor (pty(7), ioctl_tty(2))."""

import fcntl
import os
import struct
import termios

from wherry.linux.files import open_in_root

_TIOCSPTLCK = 0x40045431
_TIOCGPTN = 0x80045430
_TIOCGPTPEER = 0x5441
_WINDOW_SIZE = struct.Struct("HHHH")
_NUMBER = struct.Struct("i")


def open_pair(directory: int, ptmx: str) -> tuple[int, int, int]:
    """A new terminal of the devpts below a directory: (master, slave, its number).

    The slave is opened through its master (TIOCGPTPEER), never by a name that could have been
    exchanged. `ptmx` is looked up with the directory as root.

    Raises: OSError.
    """
    master = open_in_root(directory, ptmx, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.ioctl(master, _TIOCSPTLCK, _NUMBER.pack(0))
        (index,) = _NUMBER.unpack(fcntl.ioctl(master, _TIOCGPTN, _NUMBER.pack(0)))
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        os.close(master)
        raise
    return master, slave, index


def set_window_size(terminal: int, *, rows: int, columns: int) -> None:
    """TIOCSWINSZ; the foreground processes get SIGWINCH. Raises: OSError."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, _WINDOW_SIZE.pack(rows, columns, 0, 0))


def window_size(terminal: int) -> tuple[int, int]:
    """Rows and columns (TIOCGWINSZ). Raises: OSError."""
    rows, columns, _x, _y = _WINDOW_SIZE.unpack(
        fcntl.ioctl(terminal, termios.TIOCGWINSZ, b"\0" * _WINDOW_SIZE.size)
    )
    return rows, columns


def become_controlling(terminal: int) -> None:
    """Make it the controlling terminal of this session's leader (TIOCSCTTY). Raises: OSError."""
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
