"""Pulls that several clients watch: one is shared, and nobody joins one that is being undone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

from wherry.engine.registries import RegistryVerbs, told
from wherry.images import Tell
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import Platform
from wherry.registry import ANONYMOUS


class Pulls:
    """Pulls that last until they are given up, and whose undoing lasts too."""

    def __init__(self) -> None:
        self.begun = 0
        self.undoing = asyncio.Event()
        self.may_end = asyncio.Event()

    async def pull(self, _request: object, tell: Tell) -> None:
        """One pull."""
        self.begun += 1
        tell(Progress(status=f"pull {self.begun}"))
        try:
            await asyncio.Event().wait()
        finally:
            self.undoing.set()
            await self.may_end.wait()


def verbs_over(pulls: Pulls) -> RegistryVerbs:
    """The verbs, with nothing else that a pull needs."""
    host: Any = SimpleNamespace(host=Platform(architecture="amd64", os="linux"))
    parts: Any = pulls
    nothing: Any = None
    return RegistryVerbs(store=host, client=nothing, pulls=parts, pushes=nothing, events=nothing)


def pull(verbs: RegistryVerbs) -> AsyncIterator[Progress]:
    """What a client that pulls is told."""
    return verbs.pull("box", platform="", credentials=ANONYMOUS, pulls_all_tags=False)


async def first_message(messages: AsyncIterator[Progress]) -> str:
    """What a client reads first."""
    return (await asyncio.wait_for(anext(messages), 5)).status


async def test_two_clients_watch_one_pull() -> None:
    """The second is told what the first was."""
    pulls = Pulls()
    pulls.may_end.set()
    verbs = verbs_over(pulls)
    async with aclosing(pull(verbs)) as one, aclosing(pull(verbs)) as two:  # type: ignore[type-var]
        assert await first_message(one) == await first_message(two) == "pull 1"
    assert pulls.begun == 1


async def test_a_pull_that_is_given_up_is_joined_by_none() -> None:
    """Whoever comes while it is undone gets a pull of its own, and not its end."""
    pulls = Pulls()
    verbs = verbs_over(pulls)
    left: Any = pull(verbs)
    assert await first_message(left) == "pull 1"
    leaving = asyncio.ensure_future(left.aclose())
    await asyncio.wait_for(pulls.undoing.wait(), 5)
    comes: Any = pull(verbs)
    assert await first_message(comes) == "pull 2"
    pulls.may_end.set()
    await asyncio.wait_for(leaving, 5)
    await comes.aclose()


async def test_a_client_that_does_not_read_holds_no_figures() -> None:
    """Only so many messages wait for it; those without figures are all kept."""

    async def work(tell: Tell) -> None:
        for number in range(5000):
            tell(Progress(status="Pushing", current=number, total=5000))
        tell(Progress(status="Pushed"))

    got = [each.status async for each in told(work)]
    assert len(got) < 1100
    assert got[-1] == "Pushed"
