"""Composition roots: one module per executable, and the wiring of the daemon.

I own: command lines, settings, and which object gets which collaborator.
I never: decide anything about containers.
On disk I leave: the pid file, and the sockets that clients connect to.
Called by: people. Nothing imports me.
"""
