"""The command line: argv to requests, answers to tables and texts, with Docker's words.

I own: flags, usage texts, `--format` templates, tables, the terminal, exit codes, autostart.
I never: touch the kernel's containers, read the engine's state directory, or import a room other
than client, wire and kit.
On disk and in the kernel I leave: what the user asked to be written (a cidfile, an archive), and
a terminal in the mode in which I found it.
Called by: programs/wherry.py.

A command's module is imported when that command runs: `catalogue` knows names and modules only.
"""
