"""What a client is told: one table from kinds of failure to a status and Docker's text.

A noun's lines stand in a module of its own, beside the sentences that need more than a line.
A failure that Docker words differently depending on the verb is reworded by the route, with
`worded`. Whatever is not in the table is a bug of ours: a test demands that every subclass of
`WherryError` has a line here.
"""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from wherry.api.errors import (
    builds,
    containers,
    general,
    images,
    networks,
    plugins,
    registries,
    starts,
    volumes,
)
from wherry.api.errors.rules import Rule, Rules, Sentence
from wherry.model.errors import WherryError
from wherry.model.errors.containers import ContainerPaused
from wherry.model.errors.networks import NetworkingFailed

RULES: Rules = {
    **general.RULES,
    **containers.RULES,
    **starts.RULES,
    **volumes.RULES,
    **plugins.RULES,
    **images.RULES,
    **registries.RULES,
    **networks.RULES,
    **builds.RULES,
    NetworkingFailed: Rule(
        500, lambda e: f"failed to set up container networking: {message_of(e.cause)}"
    ),
}


class Refusal(Exception):
    """A failure that is already in its final words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def paused_before(verb: str) -> Mapping[type[WherryError], Sentence]:
    """How a verb that needs a running container tells of a paused one; for `worded`."""
    return {
        ContainerPaused: lambda e: (
            f"container {e.container} is paused, unpause the container before {verb}"
        )
    }


def rule_of(error: WherryError) -> Rule:
    """The line for an error, of its own kind or of the nearest kind above it."""
    for kind in type(error).__mro__:
        rule = RULES.get(kind)
        if rule is not None:
            return rule
    raise AssertionError("the table has a line for WherryError itself")


OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""What a disk says that takes nothing more: no bug of ours, and told without a trace."""


def message_of(error: Exception) -> str:
    """What a client is told of any failure."""
    if isinstance(error, Refusal):
        return error.message
    if isinstance(error, WherryError):
        return rule_of(error).sentence(error)
    if isinstance(error, OSError) and error.errno in OF_THE_DISK:
        return f"{os.strerror(error.errno).lower()}: {error.filename or 'the data root'}"
    return f"{type(error).__name__}: {error}"


def status_of(error: Exception) -> int:
    """The HTTP status of any failure."""
    match error:
        case Refusal():
            return error.status
        case NetworkingFailed():
            return status_of(error.cause)
        case WherryError():
            return rule_of(error).status
        case _:
            return 500


@contextmanager
def worded(sentences: Mapping[type[WherryError], Sentence]) -> Iterator[None]:
    """Tell some kinds of failure in the words of one verb; the statuses stay.

    Raises: Refusal.
    """
    try:
        yield
    except WherryError as error:
        sentence = sentences.get(type(error))
        if sentence is None:
            raise
        raise Refusal(rule_of(error).status, sentence(error)) from error
