"""The Docker Engine API over HTTP: decode, one call of the engine, encode.

I own: the server, the table of routes, the version ladder, the take-over of connections, and
the translation between Docker's JSON (`wire`) and our own words (`model`).
I never: decide anything about a container, touch the kernel, or compare API versions outside
of `versions`.
On disk and in the kernel I leave: nothing; the listening sockets are given to me.
Called by: programs. The engine implements the protocols of `services`.
"""

from wherry.api.routes import absent_endpoints, served_endpoints
from wherry.api.server import Listening, serve
from wherry.api.services import Services

__all__ = ["Listening", "Services", "absent_endpoints", "serve", "served_endpoints"]
