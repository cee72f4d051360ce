"""The OCI specifications' own types: runtime configuration, image documents, canonical JSON.

I own: values shaped as the specifications shape them, and their JSON.
I never: know Docker's JSON, touch the kernel, or import a package that is slow to import.
On disk and in the kernel I leave: nothing.
Called by: runtime, shim, specgen, tasks, snapshots, images, registry, builder, engine.
"""
