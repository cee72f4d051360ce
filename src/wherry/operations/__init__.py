"""The named kernel operations: the only hands of the engine.

I own: the values that say what would be done to the kernel and why, the executor that does it,
the journal of what was done, and its rendering for people.
I never: decide what a container needs (runtime, networks and snapshots plan), or keep anything.
On disk and in the kernel I leave: what each operation says, and `undo` takes back.
Called by: runtime, shim, tasks, snapshots, networks, volumes, builder; the renderer by engine.
"""
