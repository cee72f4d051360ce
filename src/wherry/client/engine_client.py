"""`Client`: the Engine API with one object per noun, over the blocking driver."""

from functools import cached_property
from typing import TYPE_CHECKING

from wherry.client.transport import Transport

if TYPE_CHECKING:  # Each noun is imported when it is first used: `ps` needs only one.
    from wherry.client.containers import Containers
    from wherry.client.execs import Execs
    from wherry.client.images import Images
    from wherry.client.networks import Networks
    from wherry.client.plugins import Plugins
    from wherry.client.system import System
    from wherry.client.volumes import Volumes
    from wherry.client.wherry import Wherry


class Client(Transport):
    """One engine: its nouns, and the requests that they are made of."""

    @cached_property
    def containers(self) -> "Containers":
        """Containers: their lives, streams and logs."""
        from wherry.client.containers import Containers

        return Containers(self)

    @cached_property
    def execs(self) -> "Execs":
        """Commands run in running containers."""
        from wherry.client.execs import Execs

        return Execs(self)

    @cached_property
    def images(self) -> "Images":
        """Images by reference or digest."""
        from wherry.client.images import Images

        return Images(self)

    @cached_property
    def networks(self) -> "Networks":
        """Networks by name or id."""
        from wherry.client.networks import Networks

        return Networks(self)

    @cached_property
    def plugins(self) -> "Plugins":
        """Managed plugins by name or id."""
        from wherry.client.plugins import Plugins

        return Plugins(self)

    @cached_property
    def system(self) -> "System":
        """The engine itself: version, info, events."""
        from wherry.client.system import System

        return System(self)

    @cached_property
    def volumes(self) -> "Volumes":
        """Volumes by name."""
        from wherry.client.volumes import Volumes

        return Volumes(self)

    @cached_property
    def wherry(self) -> "Wherry":
        """What only Wherry's engine has: explain and bootstrap."""
        from wherry.client.wherry import Wherry

        return Wherry(self)
