"""Networks of every driver; addresses, published ports, and name files.

`service` makes networks, `attachments` puts containers on them. Below these: `segments`, what
containers are joined to; `drivers`, the plans of their links; `addresses`, `ports` and `names`
of endpoints; `packets`, the filter that keeps networks apart.

I own: the networks that users made, their bridges and addresses, the table of the packet filter
that belongs to this engine, the veth pairs and network namespaces of containers, which host ports
are published and by whom, and the content of /etc/hosts, /etc/resolv.conf and /etc/hostname.
I never: enter a namespace (`NamespaceJobs` does), paste a user's text into a rule, or touch a
link, rule or port that belongs to somebody else.
On disk and in the kernel I leave: rows for networks, bridges, VLANs, tunnels, one nft table,
`exec-root/netns/ID` and `exec-root/netd.sock` while containers live; three files per container
in its own directory.
Called by: engine, wired by programs.
"""

from wherry.networks.names.name_files import HOST_GATEWAY, rename_host
from wherry.networks.network_table import MIGRATIONS, NetworkTable
from wherry.networks.ports.keeper import NetdKeeper, PortKeeper
from wherry.networks.sandboxes import AttachRequest, NamespaceJobs, Sandbox
from wherry.networks.service import Networks
from wherry.networks.settings import NetworkSettings
from wherry.networks.wish_checks import check_wish

__all__ = [
    "HOST_GATEWAY",
    "MIGRATIONS",
    "AttachRequest",
    "NamespaceJobs",
    "NetdKeeper",
    "NetworkSettings",
    "NetworkTable",
    "Networks",
    "PortKeeper",
    "Sandbox",
    "check_wish",
    "rename_host",
]
