"""The kernel's own interface: system calls, mounts, cgroups, netlink, seccomp, capabilities.

I own: one function per call, with the kernel's names and constants, and `KernelError`.
I never: decide anything. No policy, no Docker word, no logging.
On disk and in the kernel I leave: what the caller asked for, nothing more.
Called by: operations, runtime, shim, netd and tasks for changes; every room for reading.
"""
