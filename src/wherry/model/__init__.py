"""The words of the engine: ids, specs, records, lifecycles, errors, events. No I/O at all.

I own: what a container, an image, a network and an event *are* to us.
I never: touch a file, a socket or the clock; know Docker's JSON (`wire`) or OCI's (`oci`).
On disk and in the kernel I leave: nothing.
Called by: every room above the thin ones.
"""
