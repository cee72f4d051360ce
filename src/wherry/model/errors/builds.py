"""Failures of builds."""

from wherry.model.errors import Cancelled, InvalidRequest, NotFound


class DockerfileRefused(InvalidRequest):
    """A Dockerfile that is wrong; line 0 where no line is to blame."""

    line: int
    problem: str


class NotInContext(InvalidRequest):
    """A file that COPY or ADD names is not there, or left out by the patterns."""

    path: str
    """Below the root that it was looked for in."""
    source: str
    """As it was written."""
    is_pattern: bool = False
    instruction: str = "COPY"
    has_origin: bool = False
    """It was looked for in a stage or an image."""


class ClientGone(Cancelled):
    """The client of a build left, and with it what the build needs."""


class BuildNotFound(NotFound):
    """No build of this name is under way, or remembered."""

    ref: str


class StepEndedBadly(InvalidRequest):
    """The command of a RUN instruction ended with another code than zero."""

    command: str
    exit_code: int
