"""Images, over the Engine API."""

import os
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence

from wherry.client.credentials import Login
from wherry.client.documents import Document, document, documents, encode, stream
from wherry.client.transport import Filters, Transport, filter_query, segment, switch_query
from wherry.kit.platform_names import PlatformName, one_spelling, read_platform

Summaries = list[Document]  # Inside the class `list` is the method.


class Images:
    """The endpoints below /images. Every method raises as `Transport.request`."""

    def __init__(self, client: Transport) -> None:
        self._client = client

    def list(
        self,
        *,
        all_layers: bool = False,
        filters: Filters | None = None,
        with_manifests: bool = False,
    ) -> Summaries:
        """Summaries, newest first; with what each name leads to, for every platform."""
        query = switch_query(all=all_layers, manifests=with_manifests) + filter_query(filters)
        return documents(self._client.fetch("GET", "/images/json", query=query))

    def inspect(self, image: str) -> Document:
        """Everything about one image."""
        return document(self._client.fetch("GET", f"/images/{segment('image', image)}/json"))

    def inspect_raw(self, image: str, *, platform: str = "") -> bytes:
        """As `inspect`, the bytes as the engine wrote them; of a name, that for a platform."""
        path = f"/images/{segment('image', image)}/json"
        return self._client.request("GET", path, query=_for_platform(platform)).read()

    def history(self, image: str, *, platform: str = "") -> Summaries:
        """The steps that made it, newest first."""
        path = f"/images/{segment('image', image)}/history"
        return documents(self._client.fetch("GET", path, query=_for_platform(platform)))

    def tag(self, image: str, *, repository: str, tag: str) -> None:
        """Give it another name."""
        query = [("repo", repository), ("tag", tag)]
        self._client.request("POST", f"/images/{segment('image', image)}/tag", query=query).read()

    def remove(
        self,
        image: str,
        *,
        is_forced: bool = False,
        keeps_parents: bool = False,
        platforms: Sequence[str] = (),
    ) -> Summaries:
        """Remove a name, and what nothing refers to any more; a list of Untagged and Deleted."""
        query = switch_query(force=is_forced, noprune=keeps_parents)
        query += [("platforms", platform_json(each)) for each in platforms]
        return documents(
            self._client.fetch("DELETE", f"/images/{segment('image', image)}", query=query)
        )

    def load(
        self, archive: Iterable[bytes], *, is_quiet: bool, platforms: Sequence[str] = ()
    ) -> Iterator[Document]:
        """Add the images of an archive; a stream of progress messages."""
        response = self._client.request(
            "POST",
            "/images/load",
            query=[("quiet", "1" if is_quiet else "0"), *_for_platform(*platforms)],
            upload=archive,
            content_type="application/x-tar",
        )
        return stream(response.chunks())

    def save(self, images: Sequence[str], *, platforms: Sequence[str] = ()) -> Iterator[bytes]:
        """An archive of images."""
        query = [("names", image) for image in images] + _for_platform(*platforms)
        return self._client.request("GET", "/images/get", query=query).chunks()

    def pull(
        self, name: str, tag: str, *, platform: str = "", login: Login | None = None
    ) -> Iterator[Document]:
        """Fetch from a registry, all tags if none is named; a stream of progress messages."""
        query = [("fromImage", name), ("tag", tag), ("platform", platform)]
        response = self._client.request(
            "POST",
            "/images/create",
            query=[(key, value) for key, value in query if value],
            headers=login_headers(login),
        )
        return stream(response.chunks())

    def push(
        self, name: str, tag: str, *, platform: str = "", login: Login | None = None
    ) -> Iterator[Document]:
        """Send to a registry, all tags if none is named; a stream of progress messages."""
        query = [("tag", tag), *_for_platform(platform)]
        response = self._client.request(
            "POST",
            f"/images/{segment('image', name)}/push",
            query=[(key, value) for key, value in query if value],
            headers=login_headers(login),
        )
        return stream(response.chunks())

    def in_registry(self, name: str, *, login: Login | None = None) -> Document:
        """What a registry has under a name: its Descriptor, and the Platforms."""
        response = self._client.request(
            "GET", f"/distribution/{segment('image', name)}/json", headers=login_headers(login)
        )
        return document(response.json())

    def search(
        self, term: str, *, limit: int, filters: Filters | None = None, login: Login | None = None
    ) -> Summaries:
        """The repositories of a registry that match; `limit` 0: as many as the engine likes."""
        query = [("term", term), *filter_query(filters)]
        if limit:
            query.append(("limit", str(limit)))
        response = self._client.request(
            "GET", "/images/search", query=query, headers=login_headers(login)
        )
        return documents(response.json())

    def build(
        self,
        query: Sequence[tuple[str, str]],
        context: Iterable[bytes] | None = None,
        logins: Iterable[Login] = (),
        *,
        content_type: str = "application/x-tar",
    ) -> Iterator[Document]:
        """Build of a context, or of parts of which it is one; of a session's files for none.

        A stream of messages.
        """
        known: Document = {login.server: login.as_document() for login in logins}
        response = self._client.request(
            "POST",
            "/build",
            query=query,
            headers={"X-Registry-Config": urlsafe_b64encode(encode(known)).decode()},
            upload=context,
            content_type=content_type,
        )
        return stream(response.chunks())

    def create(
        self, query: Sequence[tuple[str, str]], upload: Iterable[bytes] | None = None
    ) -> Iterator[Document]:
        """Import, as the query says; a stream of progress messages."""
        response = self._client.request(
            "POST",
            "/images/create",
            query=query,
            upload=upload,
            content_type="application/x-tar",
        )
        return stream(response.chunks())


def platform_json(text: str) -> str:
    """A platform as OCI's JSON; what it leaves out is this machine's. Raises: ValueError."""
    read = _read_platform(text)
    members = {
        "architecture": read.architecture,
        "os": read.system,
        "os.version": read.system_version,
        "variant": read.variant,
    }
    return encode({key: value for key, value in members.items() if value}).decode()


def whole_platform(text: str) -> str:
    """A platform as text, in one spelling; empty for none. Raises: ValueError."""
    if not text:
        return ""
    read = _read_platform(text)
    system = f"{read.system}({read.system_version})" if read.system_version else read.system
    return "/".join(each for each in (system, read.architecture, read.variant) if each)


def _read_platform(text: str) -> PlatformName:
    host = PlatformName("linux", *one_spelling(os.uname().machine, ""))
    return read_platform(text, host=host)


def _for_platform(*platforms: str) -> "list[tuple[str, str]]":
    return [("platform", platform_json(each)) for each in platforms if each]


def login_headers(login: Login | None) -> dict[str, str]:
    """The header that tells the engine who we are to a registry; pushes must have one."""
    return {"X-Registry-Auth": (login or Login("")).as_header()}
