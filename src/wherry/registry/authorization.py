"""Getting let in: from a challenge to an `Authorization` header.

    client ── GET /v2/… ─────────────────▶ registry
           ◀─ 401, Bearer realm=R, service=S
           ── GET R?service=S&scope=… ───▶ token server       with Basic credentials, if any
           ◀─ {"token": …, "expires_in": 300}                 (or POST with a refresh token)
           ── GET /v2/…, Bearer token ──▶ registry

What a registry demanded once is remembered, so that the next request shows its token at once.

Credentials are for the registry that they were given for. A realm on a host that is not plainly
of the same owner is asked for an anonymous token only, and never over plain HTTP unless the
registry itself is.
"""

import base64
import ipaddress
import json
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit, urlunsplit

from wherry.kit.clock import Clock
from wherry.kit.timestamps import NANOSECONDS
from wherry.kit.values import dataclass
from wherry.model.errors.registries import RegistryUnauthorized
from wherry.registry.challenges import Challenge, parse_challenges
from wherry.registry.credentials import Credentials
from wherry.registry.hosts import RegistryHost
from wherry.registry.scopes import Scope
from wherry.registry.transport import Answer, Question, Transport

_CLIENT_ID = "wherry"
_SHORTEST_LIFE_S = 60
"""How long a token lives when its server does not say (token authentication specification)."""
_LARGEST_TOKEN = 1 << 20
_SAFETY_S = 10
"""A token that ends this soon is not used any more."""


@dataclass(frozen=True, slots=True)
class _Grant:
    """What a token was asked for, and by whom."""

    realm: str
    service: str
    scopes: tuple[Scope, ...]
    credentials: Credentials


class Authorizer:
    """Tokens and challenges of one client. Not shared between users: a grant names its own."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._challenges: dict[str, Challenge] = {}
        self._tokens: dict[_Grant, tuple[str, int]] = {}

    async def header(
        self, host: RegistryHost, scopes: tuple[Scope, ...], credentials: Credentials
    ) -> str | None:
        """The `Authorization` to show to a host, None where it has not demanded any.

        Raises: RegistryUnauthorized, RegistryUnreachable.
        """
        if credentials.registry_token:
            return f"Bearer {credentials.registry_token}"
        challenge = self._challenges.get(host.url)
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            return _basic(credentials) if credentials.username else None
        return f"Bearer {await self._token(host, challenge, scopes, credentials)}"

    def learn(self, host: RegistryHost, headers: Sequence[str]) -> bool:
        """Remember what a 401 demanded; False when it holds nothing that we can answer.

        Bearer is preferred. A token that the host did not take is forgotten.
        """
        challenges = parse_challenges(headers)
        for scheme in ("bearer", "basic"):
            for each in challenges:
                if each.scheme == scheme and (scheme == "basic" or "realm" in each.parameters):
                    self._challenges[host.url] = each
                    realm = each.parameters.get("realm", "")
                    self._tokens = {k: v for k, v in self._tokens.items() if k.realm != realm}
                    return True
        return False

    def lacks_a_user(self, host: RegistryHost, credentials: Credentials) -> bool:
        """Whether a host wants a name and a password, and there are none to show."""
        challenge = self._challenges.get(host.url)
        return challenge is not None and challenge.scheme == "basic" and not credentials.username

    async def identity_token(self, host: RegistryHost, credentials: Credentials) -> str:
        """A refresh token to keep instead of the password; empty where the server gives none."""
        challenge = self._challenges.get(host.url)
        if challenge is None or challenge.scheme != "bearer":
            return ""
        realm = challenge.parameters["realm"]
        if not self._may_know(host, realm):
            return ""
        form = {
            "grant_type": "password",
            "service": challenge.parameters.get("service", ""),
            "client_id": _CLIENT_ID,
            "access_type": "offline",
            "username": credentials.username,
            "password": credentials.password,
        }
        answer = await self._ask(host, Question.form(realm, form))
        return _text_member(answer, "refresh_token") if answer.status == 200 else ""

    async def _token(
        self,
        host: RegistryHost,
        challenge: Challenge,
        scopes: tuple[Scope, ...],
        credentials: Credentials,
    ) -> str:
        realm = challenge.parameters["realm"]
        service = challenge.parameters.get("service", "")
        shown = credentials if self._may_know(host, realm) else Credentials()
        grant = _Grant(realm, service, scopes, shown)
        token, ends_ns = self._tokens.get(grant, ("", 0))
        if not token or self._clock.monotonic_ns() > ends_ns:
            answer = await self._ask(host, _token_question(grant))
            token = _text_member(answer, "token") or _text_member(answer, "access_token")
            if answer.status != 200 or not token:
                raise RegistryUnauthorized(f"{host.url}/", answer.complaint())
            life_s = max(_SHORTEST_LIFE_S, _whole_member(answer, "expires_in"))
            ends_ns = self._clock.monotonic_ns() + (life_s - _SAFETY_S) * NANOSECONDS
            self._tokens[grant] = token, ends_ns
        return token

    async def _ask(self, host: RegistryHost, question: Question) -> Answer:
        """Ask a token server, with the registry's own trust where it is the same machine."""
        authority = urlsplit(question.url).netloc
        if authority == host.authority:
            question = question.trusting(host.trust)
        return await self._transport.ask(question, limit_bytes=_LARGEST_TOKEN)

    def _may_know(self, host: RegistryHost, realm: str) -> bool:
        """Whether a token server may be shown the credentials of a registry."""
        there = urlsplit(realm)
        if there.scheme != "https" and not host.is_insecure:
            return False
        ours, theirs = urlsplit(host.url).hostname or "", there.hostname or ""
        return ours == theirs or (_owner(ours) is not None and _owner(ours) == _owner(theirs))


def _owner(name: str) -> str | None:
    """The domain that a host name was registered under, by a rule of thumb; None for addresses.

    `registry-1.docker.io` → `docker.io`; `registry.example.co.uk` → `example.co.uk`, since short
    names under a country's are seldom somebody's own.
    """
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.lower().rstrip(".").split(".")
    else:
        return None
    if len(labels) < 2:
        return None
    is_shared = len(labels[-1]) == 2 and len(labels[-2]) <= 3 and len(labels) > 2
    return ".".join(labels[-3:] if is_shared else labels[-2:])


def _token_question(grant: _Grant) -> Question:
    """The request for a token: OAuth2 with a refresh token, otherwise the older GET."""
    scope = " ".join(map(str, grant.scopes))
    if grant.credentials.identity_token:
        form = {
            "grant_type": "refresh_token",
            "service": grant.service,
            "client_id": _CLIENT_ID,
            "refresh_token": grant.credentials.identity_token,
        }
        return Question.form(grant.realm, form | ({"scope": scope} if scope else {}))
    parts = urlsplit(grant.realm)
    query = [("service", grant.service)] if grant.service else []
    query += [("scope", str(each)) for each in grant.scopes]
    if grant.credentials.username:
        query.append(("account", grant.credentials.username))
    joined = "&".join(filter(None, (parts.query, urlencode(query))))
    headers = []
    if grant.credentials.username:
        headers.append(("Authorization", _basic(grant.credentials)))
    return Question("GET", urlunsplit(parts._replace(query=joined)), headers=tuple(headers))


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _text_member(answer: Answer, name: str) -> str:
    value = _member(answer, name)
    return value if isinstance(value, str) else ""


def _whole_member(answer: Answer, name: str) -> int:
    value = _member(answer, name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _member(answer: Answer, name: str) -> object:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return document.get(name) if isinstance(document, dict) else None
