"""What reaches registries: one client, and the pulls and pushes that share its patience."""

from wherry.images import ImagePulls, ImagePushes, ImageStore
from wherry.kit.aio import OffloadPool
from wherry.kit.values import dataclass
from wherry.programs.defaults import registry_settings
from wherry.programs.ground import Ground
from wherry.programs.settings import Settings
from wherry.programs.version import VERSION
from wherry.registry import Downloads, RegistryClient

UNPACKING_THREADS = 4
"""Threads that unpack layers and may wait for the network; no other work waits for them."""


@dataclass(frozen=True, slots=True)
class Transfers:
    """What reaches registries."""

    client: RegistryClient
    pulls: ImagePulls
    pushes: ImagePushes
    downloads: Downloads
    unpacking: OffloadPool

    def adopt(self, settings: Settings) -> None:
        """What is asked from now on follows these settings."""
        self.client.adopt(registry_settings(settings), most_attempts=settings.download_attempts)
        self.pulls.adopt(most_fetches=settings.concurrent_downloads)
        self.pushes.adopt(most_uploads=settings.concurrent_uploads)

    async def close(self) -> None:
        """Let go of registries."""
        await self.client.close()
        await self.downloads.close()
        self.unpacking.close()


def open_transfers(ground: Ground, images: ImageStore) -> Transfers:
    settings = ground.settings
    client = RegistryClient(
        registry_settings(settings), user_agent=f"wherry/{VERSION}", clock=ground.clock
    )
    unpacking = OffloadPool(UNPACKING_THREADS)
    made = Transfers(
        client,
        ImagePulls(store=images, client=client, offload=ground.offload, unpacking=unpacking),
        ImagePushes(store=images, client=client, offload=ground.offload),
        Downloads(f"wherry/{VERSION}"),
        unpacking,
    )
    made.adopt(settings)
    return made
