"""The keys with which a user leaves an attached terminal without ending what runs in it."""

from wherry.model.errors import InvalidValue

DEFAULT = b"\x10\x11"
"""ctrl-p, ctrl-q."""

_CONTROLS = {
    **{chr(ord("a") + index): index + 1 for index in range(26)},
    "@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31,
}  # fmt: skip


def parse_detach_keys(text: str) -> bytes:
    """The bytes of `ctrl-p,ctrl-q` or `a,ctrl-x`; empty text is the default.

    Raises: InvalidValue.
    """
    if not text:
        return DEFAULT
    codes = bytearray()
    for key in text.split(","):
        control = key.removeprefix("ctrl-")
        if key.startswith("ctrl-") and control in _CONTROLS:
            codes.append(_CONTROLS[control])
        elif len(key) == 1 and key.isascii():
            codes.append(ord(key))
        else:
            raise InvalidValue(f"Invalid detach keys ({text}) provided")
    return bytes(codes)


class DetachScanner:
    """Looks for the keys in what a user types, whatever the sizes of the reads.

    Bytes that may be the beginning of the keys are held back until it is clear.
    """

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""
        self.has_seen_keys = False

    def feed(self, data: bytes) -> bytes:
        """The bytes that are meant for the container."""
        waiting = self._held + data
        position = waiting.find(self._keys)
        if position >= 0:
            self.has_seen_keys = True
            self._held = b""
            return waiting[:position]
        kept = self._longest_beginning_at_end(waiting)
        self._held = waiting[len(waiting) - kept :]
        return waiting[: len(waiting) - kept]

    def flush(self) -> bytes:
        """What was held back when the input has ended."""
        held, self._held = self._held, b""
        return held

    def _longest_beginning_at_end(self, data: bytes) -> int:
        for length in range(min(len(self._keys) - 1, len(data)), 0, -1):
            if data.endswith(self._keys[:length]):
                return length
        return 0
