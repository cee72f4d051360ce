"""What goes through tunnels is sealed (ESP): which hosts, by which associations."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import xfrm
from wherry.linux.xfrm import Association, Policy
from wherry.operations.network.links import tolerating
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation, Verdict

TUNNEL_KEYS = "tunnel-keys"
"""In `Hands`: a file of records, each the number of an association (4 bytes) and its key. Keys
are no operands, since operands are shown and kept."""

_NUMBER_BYTES = 4
_RECORD_BYTES = _NUMBER_BYTES + xfrm.KEY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class SealTunnels(Operation):
    """Have UDP to one port sealed between this host and these others, and else not pass at all.

    Associations and policies of before that are not among these are taken away.
    """

    kind: ClassVar[str] = "seal-tunnels"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    port: int
    """Of the tunnels' datagrams. It marks the associations as ours, too."""
    versions: tuple[int, ...]
    """Of IP, in which hosts are tunnelled to."""
    associations: tuple[tuple[str, str, int], ...]
    """Sender, receiver, number."""
    leaving: tuple[tuple[str, str, int], ...]
    """This host, the other, and the number of the association that seals what leaves."""

    def do(self, hands: Hands) -> Evidence:
        keys = _read_keys(hands.get(TUNNEL_KEYS)) if self.associations else {}
        with _socket() as descriptor:
            old, old_policies = self._present(descriptor)
            # What opens comes first and goes last: nothing under way is lost by a change.
            for new in self._associations() - old:
                xfrm.add_association(descriptor, new, keys[new.spi], mark=self.port)
            for policy in self._policies() - old_policies:
                xfrm.set_policy(descriptor, policy, mark=self.port)
            self._remove(
                descriptor,
                old - self._associations(),
                {each for each in old_policies if not self._is_about(each)},
            )
        return {"associations": len(self.associations)}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        with _socket() as descriptor:
            self._remove(descriptor, *self._present(descriptor))

    def check(self, evidence: Evidence) -> Finding:
        with _socket() as descriptor:
            present = self._present(descriptor)
        same = present == (self._associations(), self._policies())
        seen = f"{len(present[0])} associations, {len(present[1])} policies"
        return Finding(Verdict.STILL_TRUE if same else Verdict.CHANGED, seen)

    def describe(self) -> str:
        hosts = ", ".join(sorted({host for _local, host, _spi in self.leaving})) or "nobody"
        return f"seal what goes to UDP port {self.port} of {hosts}"

    def shell(self) -> str:
        states = (
            f"ip xfrm state add src {sender} dst {receiver} proto esp spi {spi:#x} "
            f"reqid {self.port} mode transport aead 'rfc4106(gcm(aes))' $KEY_{spi:x} 128"
            for sender, receiver, spi in self.associations
        )
        policies = (
            f"ip xfrm policy update dir out src {local} dst {host} proto udp dport {self.port} "
            f"tmpl src {local} dst {host} proto esp spi {spi:#x} reqid {self.port} mode transport"
            for local, host, spi in self.leaving
        )
        return "; ".join((*states, *policies)) or f"# {self.describe()}"

    def _present(self, descriptor: int) -> tuple[set[Association], set[Policy]]:
        return (
            xfrm.associations(descriptor, mark=self.port),
            xfrm.policies(descriptor, port=self.port),
        )

    def _associations(self) -> set[Association]:
        return {
            Association(ip_address(sender), ip_address(receiver), spi)
            for sender, receiver, spi in self.associations
        }

    def _policies(self) -> set[Policy]:
        return set(self._allowing()) | set(self._blocking())

    def _allowing(self) -> Iterator[Policy]:
        for local, host, spi in self.leaving:
            here, there = ip_address(local), ip_address(host)
            yield Policy(is_outward=True, port=self.port, sender=here, receiver=there, spi=spi)
            yield Policy(is_outward=False, port=self.port, sender=there, receiver=here)

    def _blocking(self) -> Iterator[Policy]:
        for version in self.versions:
            anybody = ip_address("0.0.0.0" if version == 4 else "::")
            for is_outward in (True, False):
                yield Policy(
                    is_outward=is_outward,
                    port=self.port,
                    sender=anybody,
                    receiver=anybody,
                    blocks_the_rest=True,
                )

    def _is_about(self, policy: Policy) -> bool:
        """Whether a policy is one of these, by whichever association."""
        ends = (policy.sender, policy.receiver, policy.is_outward)
        return any(
            ends == (each.sender, each.receiver, each.is_outward) for each in self._policies()
        )

    def _remove(
        self, descriptor: int, associations: set[Association], policies: set[Policy]
    ) -> None:
        for policy in policies:
            with tolerating(errno.ENOENT):
                xfrm.delete_policy(descriptor, policy)
        for each in associations:
            with tolerating(errno.ESRCH):
                xfrm.delete_association(descriptor, each)


def hold_keys(hands: Hands, keys: Mapping[int, bytes]) -> None:
    """Put keys where `SealTunnels` finds them, by the numbers of their associations."""
    descriptor = os.memfd_create(TUNNEL_KEYS, os.MFD_CLOEXEC)
    hands.hold(TUNNEL_KEYS, descriptor)
    for spi, key in keys.items():
        os.write(descriptor, spi.to_bytes(_NUMBER_BYTES, "big") + key)


def _read_keys(descriptor: int) -> dict[int, bytes]:
    records = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    return {
        int.from_bytes(records[at : at + _NUMBER_BYTES], "big"): records[
            at + _NUMBER_BYTES : at + _RECORD_BYTES
        ]
        for at in range(0, len(records), _RECORD_BYTES)
    }


@contextmanager
def _socket() -> Iterator[int]:
    descriptor = xfrm.open_xfrm_socket()
    try:
        yield descriptor
    finally:
        os.close(descriptor)
