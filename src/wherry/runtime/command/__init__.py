"""The runtime as a command of its own: runc's words and flags, state files and exit codes.

I own: reading the command line, the state directory, consoles and their sockets.
I never: make a plan, or touch the kernel but through the runtime's own modules.
On disk I leave: one directory for each container below the root (`--root`).
Called by: programs.wherry_runtime.
"""
