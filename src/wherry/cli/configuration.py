"""The client's configuration file, `config.json` in `--config`, DOCKER_CONFIG or ~/.docker."""

import os

from wherry.client.documents import Document, document, parse


def configuration_directory(chosen: str) -> str:
    """Where it is, by `--config` or the environment."""
    place = chosen or os.environ.get("DOCKER_CONFIG", "")
    return place or os.path.expanduser("~/.docker")


def load_configuration(directory: str) -> Document:
    """The file's settings; none when it is absent or cannot be read."""
    path = os.path.join(configuration_directory(directory), "config.json")
    try:
        with open(path, "rb") as file:
            return document(parse(file.read()))
    except (OSError, ValueError):
        return {}


def save_setting(directory: str, name: str, value: str) -> None:
    """Set one text of the file, or take it out when it is empty; the rest stays as it is.

    Raises: OSError.
    """
    import json

    from wherry.kit.atomic_files import write_atomically

    settings = load_configuration(directory)
    if settings.get(name, "") == value:
        return
    settings.pop(name, None)
    if value:
        settings[name] = value
    place = configuration_directory(directory)
    os.makedirs(place, mode=0o700, exist_ok=True)
    content = json.dumps(settings, indent="\t", ensure_ascii=False).encode()
    write_atomically(os.path.join(place, "config.json"), content)
