"""A plugin of networks and addresses as its own process: `network_plugin.py SOCKET DIRECTORY`.

Its networks are bridges named after the network's id, its endpoints veth pairs; it gives out
addresses of 10.88.0.0/24 from .20 on. Calls are written to DIRECTORY/calls, as by the volume
plugin. An endpoint on a network with the option `refuse` is not joined. On a network without
addresses (the IPAM driver null) it brings one itself. With a file DIRECTORY/ending, `METHOD PID`,
it ends a process when it has done what it was asked for, and before it says so.
"""

import os
import signal
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.volume_plugin import Handler

SUBNET, GATEWAY, FIRST = "10.88.0.0/24", "10.88.0.1", "10.88.0.20"


class NetworkHandler(Handler):
    """One call."""

    leased: set[str] = set()
    refusing: set[str] = set()
    without_addresses: set[str] = set()
    gateways: dict[str, str] = {}

    def named(self, request: dict[str, Any]) -> str:
        """What the list of calls shows beside the method."""
        return str(request.get("Pool") or request.get("Address") or "")

    def _answer(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        answer = self._done(method, request)
        ending = self.directory / "ending"
        if ending.exists() and method.endswith(f".{ending.read_text().partition(' ')[0]}"):
            pid = int(ending.read_text().partition(" ")[2])
            ending.unlink()
            os.kill(pid, signal.SIGKILL)
        return answer

    def _done(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        bridge = f"pl-{request.get('NetworkID', '')[:12]}"
        end = f"ple{request.get('EndpointID', '')[:8]}"
        match method:
            case "Plugin.Activate":
                return {"Implements": ["NetworkDriver", "IpamDriver"]}
            case "NetworkDriver.GetCapabilities":
                return {"Scope": "global"}
            case "NetworkDriver.CreateNetwork":
                _ip("link", "add", bridge, "type", "bridge")
                (pool,) = request["IPv4Data"]
                gateway = pool["Gateway"]
                if pool["AddressSpace"] == "null":
                    gateway = f"{GATEWAY}/24"
                    self.without_addresses.add(request["NetworkID"])
                self.gateways[request["NetworkID"]] = gateway.partition("/")[0]
                _ip("address", "add", gateway, "dev", bridge)
                _ip("link", "set", bridge, "up")
                if "refuse" in request["Options"]["com.docker.network.generic"]:
                    self.refusing.add(request["NetworkID"])
            case "NetworkDriver.DeleteNetwork":
                _ip("link", "delete", bridge)
            case "NetworkDriver.CreateEndpoint":
                if request["NetworkID"] in self.without_addresses:
                    return {"Interface": {"Address": "10.88.0.200/24"}}
                return {"Interface": {"MacAddress": "02:99:00:00:00:01"}}
            case "NetworkDriver.Join":
                if request["NetworkID"] in self.refusing:
                    return {"Err": "nobody joins this one"}
                gateway = self.gateways[request["NetworkID"]]
                _ip("link", "add", end, "type", "veth", "peer", "name", f"{end}i")
                _ip("link", "set", end, "master", bridge, "up")
                return {
                    "InterfaceName": {"SrcName": f"{end}i", "DstPrefix": "plug"},
                    "Gateway": gateway,
                    "StaticRoutes": [
                        {"Destination": "192.0.2.0/24", "RouteType": 0, "NextHop": gateway},
                        {"Destination": "198.18.0.0/16", "RouteType": 1},
                    ],
                }
            case "NetworkDriver.ProgramExternalConnectivity":
                (port,) = request["Options"]["com.docker.network.portmap"]
                if port != {**port, "Proto": 6, "Port": 80, "HostPort": 8085, "HostPortEnd": 8085}:
                    return {"Err": f"not what was asked for: {port}"}
            case "NetworkDriver.RevokeExternalConnectivity":
                pass
            case "NetworkDriver.Leave":
                _ip("link", "delete", f"{end}i")
            case "NetworkDriver.DeleteEndpoint" | "IpamDriver.ReleasePool":
                pass
            case "IpamDriver.GetCapabilities":
                return {}
            case "IpamDriver.GetDefaultAddressSpaces":
                return {"LocalDefaultAddressSpace": "here", "GlobalDefaultAddressSpace": "there"}
            case "IpamDriver.RequestPool":
                return {"PoolID": "pool-1", "Pool": request["Pool"] or SUBNET}
            case "IpamDriver.RequestAddress":
                return self._lease(request)
            case "IpamDriver.ReleaseAddress":
                self.leased.discard(request["Address"])
            case _:
                return {"Err": f"no {method}"}
        return {}

    def _lease(self, request: dict[str, Any]) -> dict[str, Any]:
        is_gateway = "RequestAddressType" in (request.get("Options") or {})
        wanted = request["Address"] or (GATEWAY if is_gateway else "")
        if wanted in self.leased:
            return {"Error": f"{wanted} is somebody's"}
        address = ip_address(wanted or FIRST)
        while str(address) in self.leased:
            address += 1
        self.leased.add(str(address))
        return {"Address": f"{address}/24"}


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


if __name__ == "__main__":
    Path(sys.argv[1]).parent.mkdir(parents=True, exist_ok=True)
    NetworkHandler.directory = Path(sys.argv[2])
    (NetworkHandler.directory / "pid").write_text(str(os.getpid()))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the first process has no default
    ThreadingUnixStreamServer(sys.argv[1], NetworkHandler).serve_forever()
