"""What stands in nftables, whoever wrote it: rules and policies. Reads only."""

import json

from wherry.kit.values import dataclass
from wherry.linux.nftables import RulesetRefused, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseChain:
    """A chain that hangs on a hook."""

    family: str
    table: str
    name: str
    hook: str
    drops: bool
    """Whether its policy is to drop."""

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.name}"


def base_chains() -> list[BaseChain]:
    """Every chain on a hook; none where nobody may look."""
    try:
        document = json.loads(listed("list chains", is_json=True))
    except (RulesetRefused, OSError, ValueError):
        return []
    chains = (entry["chain"] for entry in document["nftables"] if "chain" in entry)
    return [
        BaseChain(
            family=each["family"],
            table=each["table"],
            name=each["name"],
            hook=each["hook"],
            drops=each.get("policy") == "drop",
        )
        for each in chains
        if "hook" in each
    ]


def has_chain(beside: BaseChain, name: str) -> bool:
    """Whether the table of a chain has another one."""
    try:
        listed(f"list chain {beside.family} {beside.table} {name}")
    except (RulesetRefused, OSError):
        return False
    return True


def rules(family: str, table: str, chain: str) -> dict[int, str]:
    """The rules of a chain as nft writes them, by handle; none where it is gone.

    The names are the kernel's.
    """
    try:
        lines = listed(f"list chain {family} {table} {chain}").splitlines()
    except (RulesetRefused, OSError):
        return {}
    parts = (line.strip().partition(" # handle ") for line in lines)
    return {
        int(handle): rule
        for rule, _, handle in parts
        if handle.isdigit() and not rule.startswith(("table ", "chain "))
    }
