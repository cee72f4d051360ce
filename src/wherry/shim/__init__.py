"""The process beside each container, and the spawner that forks it.

I own: a container's standard streams and console, its log file, its exec sessions, the exit
record, and the control protocol on `shim.sock`; the spawner's loop and the jobs that it does
inside other namespaces.
I never: import anything after the fork, know what an image or a network is, block on a client,
or go away before the exit record is on disk.
On disk I leave: `exit.json` and `journal.json` in the container's record directory, the log
file, and `shim.sock` in its bundle.
Called by: programs.spawner; `tasks` speaks `shim.protocol` with us from the daemon's side.
"""
