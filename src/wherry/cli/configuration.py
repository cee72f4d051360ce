"""The client's configuration file, `config.json` in `--config`, DOCKER_CONFIG or ~/.docker."""

import os

from wherry.cli.failures import CommandFailed
from wherry.client.config_file import ConfigFile, ConfigProblem
from wherry.client.documents import Document


def configuration_directory(chosen: str) -> str:
    """Where it is, by `--config` or the environment."""
    place = chosen or os.environ.get("DOCKER_CONFIG", "")
    return place or os.path.expanduser("~/.docker")


def load_configuration(directory: str) -> Document:
    """The file's settings; none when it is absent or cannot be read."""
    try:
        return ConfigFile(configuration_directory(directory)).read()
    except ConfigProblem:
        return {}


def save_setting(directory: str, name: str, value: str) -> None:
    """Set one text of the file, or take it out when it is empty; the rest stays as it is.

    Raises: CommandFailed.
    """
    file = ConfigFile(configuration_directory(directory))
    try:
        settings = file.read()
        if settings.get(name, "") == value:
            return
        settings.pop(name, None)
        if value:
            settings[name] = value
        file.write(settings)
    except ConfigProblem as problem:
        raise CommandFailed(str(problem)) from None
