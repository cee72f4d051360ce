"""The client's configuration file, `config.json` in `--config`, DOCKER_CONFIG or ~/.docker."""

import os

from wherry.client.documents import Document, document, parse


def load_configuration(directory: str) -> Document:
    """The file's settings; none when it is absent or cannot be read."""
    chosen = directory or os.environ.get("DOCKER_CONFIG", "")
    path = os.path.join(chosen or os.path.expanduser("~/.docker"), "config.json")
    try:
        with open(path, "rb") as file:
            return document(parse(file.read()))
    except (OSError, ValueError):
        return {}
