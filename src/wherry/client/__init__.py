"""The client's side of the Engine API: a sans-IO HTTP/1.1 core, a driver, one object per noun.

I own: requests, responses, connection take-over, API version negotiation, endpoints.
I never: print, read flags, decide what a person sees, or know how the engine works inside.
On disk and in the kernel I leave: nothing; sockets close with the client.
Called by: cli, compose, pods.

The face is these modules: `endpoint`, `errors`, `documents`, `transport`, `engine_client`.
Nothing is imported here, because `wherry ps` pays for every module.
"""
