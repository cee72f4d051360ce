"""The keys that leave a container running: `ctrl-p,ctrl-q`, or what the user chose."""

DEFAULT = b"\x10\x11"

_CONTROL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31} | {
    chr(letter): letter - ord("a") + 1 for letter in range(ord("a"), ord("z") + 1)
}


def parse_keys(text: str) -> bytes:
    """The bytes of a sequence such as `ctrl-a,x`.

    Raises: ValueError.
    """
    return bytes(_key(part) for part in text.split(",")) if text else DEFAULT


def _key(name: str) -> int:
    if len(name) == 1 and name.isascii():
        return ord(name)
    prefix, _, key = name.partition("-")
    if prefix == "ctrl" and key in _CONTROL:
        return _CONTROL[key]
    raise ValueError(f"Unknown character: '{name}'")


class DetachFilter:
    """Watches what is typed for the sequence, and holds back keys that may begin it."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What is to be sent of the typed bytes, and whether the sequence is complete."""
        sent = bytearray()
        for key in typed:
            if key == self._keys[self._held]:
                self._held += 1
                if self._held == len(self._keys):
                    self._held = 0
                    return bytes(sent), True
                continue
            sent += self._keys[: self._held]
            self._held = 0
            if key == self._keys[0]:
                self._held = 1
            else:
                sent.append(key)
        return bytes(sent), False
