"""What containers write: framed into lines, kept in rotated files, and read back.

I own: the json-file format (Docker's, byte for byte), its rotation, and reading it again, from
the end, between times, and while it is being written.
I never: talk to a container or a client, wait, or start a thread; whoever calls me has the loop.
On disk I leave: the log file that I was given and its rotated siblings `.1`, `.2`, ...
Called by: shim (writes), engine (reads, and checks options). Thin: I import nothing that is slow.
"""
