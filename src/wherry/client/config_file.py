"""`config.json`, the file that the client shares with docker.

Whoever changes one setting keeps all others: a file that cannot be read is never written anew.
"""

import json
import os

from wherry.client.documents import Document, document, parse
from wherry.kit.atomic_files import write_atomically


class ConfigProblem(Exception):
    """The file cannot be read or written; one sentence."""


class ConfigFile:
    """The file of one configuration directory."""

    def __init__(self, directory: str) -> None:
        # One that is a link stays a link: what it leads to is replaced.
        self.path = os.path.realpath(os.path.join(directory, "config.json"))

    def read(self) -> Document:
        """All its settings; none when it is absent. Raises: ConfigProblem."""
        try:
            with open(self.path, "rb") as file:
                return document(parse(file.read() or b"{}"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as problem:
            raise ConfigProblem(f"loading config file: {self.path}: {problem}") from None

    def write(self, settings: Document) -> None:
        """Replace them; the directory is made when it is absent. Raises: ConfigProblem."""
        content = json.dumps(settings, indent="\t", ensure_ascii=False).encode()
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            write_atomically(self.path, content)
        except OSError as problem:
            reason = (problem.strerror or str(problem)).lower()
            raise ConfigProblem(f"saving {self.path}: {reason}") from None
