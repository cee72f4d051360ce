"""netd: the process that holds published host ports, and carries IPv6 to containers.

I own: sockets bound to published host ports, so that nobody else can have them, and the relays
from IPv6 addresses of the host, which the packet filter cannot lead to an IPv4 container.
I never: listen on a port that the packet filter serves, look at what I carry, or decide who may
have a port beyond what the kernel says.
On disk and in the kernel I leave: `exec-root/netd.sock` and sockets, all gone with my process.
Called by: networks, through `protocol`; started by programs.netd. I outlive wherryd: ports stay
reserved and relays go on while no daemon runs.
"""
