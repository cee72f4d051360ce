"""From what a user asked to what the runtime does: the OCI configuration of a container.

I own: Docker's defaults (mounts, devices, masks, capabilities, seccomp) and the pure functions
that turn a container and facts about the host into a `RuntimeSpec`.
I never: change anything; the host is read in `host` alone.
On disk and in the kernel I leave: nothing.
Called by: engine.
"""
