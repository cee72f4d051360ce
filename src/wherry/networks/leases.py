"""Endpoints that containers get from networks: addresses and names, leased and given back."""

from collections.abc import Sequence

from wherry.kit.aio import OffloadPool, UndoStack
from wherry.model.networks import EndpointStatus, EndpointWish
from wherry.networks.endpoint_choices import interface_for, named
from wherry.networks.made_network import MadeNetwork
from wherry.networks.made_networks import MadeNetworks
from wherry.networks.sandboxes import AttachRequest
from wherry.networks.uninterrupted import to_its_end


class Leases:
    """Gives endpoints out. What a lease asks may block, or be a plugin's answer."""

    def __init__(self, networks: MadeNetworks, offload: OffloadPool) -> None:
        self._networks, self._offload = networks, offload

    async def lease(
        self,
        undo: UndoStack,
        made: MadeNetwork,
        request: AttachRequest,
        wish: EndpointWish,
        *,
        namespace_path: str,
        others: Sequence[EndpointStatus],
    ) -> EndpointStatus:
        """An endpoint beside others of its container; with `undo` it is given back.

        Raises: AddressesExhausted, AddressTaken, InvalidValue, PluginFailed.
        """

        async def leasing() -> EndpointStatus:
            endpoint = await self._offload(
                made.lease,
                wish,
                namespace_path,
                lambda prefix: interface_for(wish, others, prefix),
            )
            undo.push(self.give_back, endpoint)
            return named(made.network, endpoint, request, wish)

        return await to_its_end(leasing())

    async def give_back(self, endpoint: EndpointStatus) -> None:
        """Its addresses are free again. Doing so twice is no error."""
        made = self._networks.find(endpoint.network_id)
        if made is not None:
            await self._offload(made.release, endpoint)
