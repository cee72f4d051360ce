"""Compose files: what they mean, and what has to be done so that an engine agrees with them.

I own: reading Compose files as Compose v2 does (`loading`), the project that they mean
(`project`), the difference between it and an engine (`planning`), and carrying that out
(`executing`).
I never: speak with an engine except over its public API, parse flags, or touch the kernel.
On disk and in the kernel I leave: nothing; what runs afterwards belongs to the engine.
Called by: cli, for `wherry compose` alone.

    load -> interpolate -> merge -> normalise -> plan -> execute

The face is these modules: `errors`, `loading`, `project`, `rendering`, `config_hashes`,
`planning` and `executing`. Nothing is imported here, because the command line pays for it.
"""
