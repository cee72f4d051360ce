"""The OCI runtime: from a specification to a running process, and back to nothing.

I own: the plans of a container (pure), the process that carries out its half of them inside the
namespaces, the handshake with it, joining a container that runs, and signals to it.
I never: keep state, know images or networks, run a thread, or import anything after a fork.
On disk and in the kernel I leave: cgroups, namespaces and one process for each container, all
of them named in the journal that `destroy` takes.
Called by: shim, and the `wherry-runtime` program; tasks, for what a shim has left; accounts and
limits are read by engine and builder.
"""
