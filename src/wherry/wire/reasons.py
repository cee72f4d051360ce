"""The answer of `why`."""

from msgspec import Struct


class ReasonAnswer(Struct, kw_only=True):
    """Why a container is in its state, and how sure that is."""

    Id: str
    Name: str
    State: str
    ExitCode: int
    Cause: str
    Certainty: str
    """`fact`, `likely` or `unknown`."""
    Sentence: str
    Evidence: list[str]
    Hints: list[str]
    LastLines: list[str]
