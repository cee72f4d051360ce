"""Pure tools that two rooms or more use: clock, ids, sizes, time stamps, files, frames, messages.

I own: small functions with no knowledge of containers, one module per tool.
I never: hold state, know a Docker word, or import another room. (`kit.aio` alone knows asyncio,
so thin rooms never import it.)
On disk and in the kernel I leave: nothing of my own.
Called by: every room.
"""
