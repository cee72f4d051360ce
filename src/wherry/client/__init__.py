"""The client's side of the Engine API: a sans-IO HTTP/1.1 core, two drivers, one object per noun.

I own: requests, responses, connection take-over, API version negotiation, endpoints.
I never: print, read flags, decide what a person sees, or know how the engine works inside.
On disk and in the kernel I leave: nothing; sockets close with the client.
Called by: cli (blocking driver) and whoever drives an engine from an event loop (`client.aio`).

The face is these modules: `endpoint`, `errors`, `documents`, `transport`, `engine_client` and,
for event loops, `aio`. Nothing is imported here, because `wherry ps` pays for every module.
"""
