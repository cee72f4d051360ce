"""Proxies of the configuration file: what new containers and builds are given.

    {"proxies": {"default": {"httpProxy": "http://proxy:3128", "noProxy": "*.test"},
                 "tcp://other:2376": {...}}}

An engine of its own has its own. Each is given in capitals and in small letters, as programs look
for one or the other; what a user names himself stays as he says it.
"""

from collections.abc import Collection, Sequence

from wherry.cli.configuration import load_configuration
from wherry.cli.session import Session
from wherry.client.documents import child, text

_NAMES = ("http", "https", "no", "ftp", "all")


def proxy_variables(session: Session, *, besides: Collection[str] = ()) -> dict[str, str]:
    """The variables by their names, without those that are named elsewhere."""
    known = child(load_configuration(session.config_directory), "proxies")
    address = session.endpoint.address
    chosen = child(known, address if address in known else "default")
    found = {
        written: text(chosen, f"{name}Proxy")
        for name in _NAMES
        for written in (f"{name.upper()}_PROXY", f"{name}_proxy")
    }
    return {name: value for name, value in found.items() if value and name not in besides}


def with_proxies(session: Session, variables: Sequence[str], *, given: Sequence[str]) -> list[str]:
    """A container's variables, the last of them `given` by flags; proxies stand before those."""
    named = [each.partition("=")[0] for each in given]
    found = proxy_variables(session, besides=named)
    start = len(variables) - len(given)
    return [
        *variables[:start],
        *(f"{name}={value}" for name, value in found.items()),
        *variables[start:],
    ]
