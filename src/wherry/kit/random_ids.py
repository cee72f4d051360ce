"""Identifiers: 64 lower-case hexadecimal digits, of which people see the first twelve."""

import os

ID_LENGTH = 64
SHORT_ID_LENGTH = 12


def new_id() -> str:
    """A fresh random id that is never all digits in its short form.

    A short id of digits alone could be read as a number by YAML and by hostname rules.
    """
    while True:
        candidate = os.urandom(ID_LENGTH // 2).hex()
        if not candidate[:SHORT_ID_LENGTH].isdigit():
            return candidate


def short_id(identifier: str) -> str:
    """The first twelve digits, without a digest algorithm in front."""
    return identifier.removeprefix("sha256:")[:SHORT_ID_LENGTH]
