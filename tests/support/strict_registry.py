"""A registry that keeps to the distribution specification, and misbehaves on request.

It runs on loopback within the test's own event loop. Every request is kept with its headers, so
that a test can say who was shown which credentials; `faults` are consumed one per request.
"""

import base64
import hashlib
import json
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

_UPLOAD = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<session>[0-9a-f]*)")
_BLOB = re.compile(r"/v2/(?P<name>.+)/blobs/(?P<digest>[^/]+)")
_MANIFEST = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)")
_TAGS = re.compile(r"/v2/(?P<name>.+)/tags/list")


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    authorization: str
    range: str


@dataclass(slots=True)
class Fault:
    """What one request meets instead of an answer, or in the middle of one."""

    on: str
    """A part of `METHOD /path`; requests that don't hold it are left alone."""
    status: int = 0
    retry_after: str = ""
    breaks_after: int | None = None
    """Bytes of the body after which the connection is reset."""
    body: bytes | None = None
    """Sent instead of the true content, with a true length."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class StrictRegistry:
    """Blobs, manifests and tags in memory."""

    username: str = ""
    password: str = ""
    token_realm: str = ""
    """With this, a bearer token is demanded, and `issued` tokens are good."""
    knows_ranges: bool = True
    issued: set[str] = field(default_factory=set)
    blobs: dict[str, dict[str, bytes]] = field(default_factory=dict)
    manifests: dict[str, dict[str, tuple[str, bytes]]] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    seen: list[Seen] = field(default_factory=list)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    page: int = 1000
    url: str = ""

    # -- content -------------------------------------------------------------------------

    def add_blob(self, name: str, content: bytes) -> str:
        """Put a blob in; its digest."""
        digest = digest_of(content)
        self.blobs.setdefault(name, {})[digest] = content
        return digest

    def add_manifest(self, name: str, content: bytes, media_type: str, *tags: str) -> str:
        """Put a manifest in under its digest and tags."""
        digest = digest_of(content)
        for reference in (digest, *tags):
            self.manifests.setdefault(name, {})[reference] = (media_type, content)
        return digest

    def requests(self, part: str) -> list[Seen]:
        """The requests whose `METHOD path` holds a text."""
        return [each for each in self.seen if part in f"{each.method} {each.path}"]

    @asynccontextmanager
    async def serving(
        self, *, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator["StrictRegistry"]:
        """Listen on loopback."""
        server = web.Server(self._answer, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    @property
    def domain(self) -> str:
        """`host:port`, as in a reference."""
        return self.url.partition("://")[2]

    # -- answering -----------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(
            Seen(
                method=request.method,
                path=request.path_qs,
                authorization=request.headers.get("Authorization", ""),
                range=request.headers.get("Range", ""),
            )
        )
        refusal = self._unauthorized(request)
        if refusal is not None:
            return refusal
        fault = self._fault(request)
        if fault is not None and fault.status:
            headers = {**fault.headers}
            if fault.retry_after:
                headers["Retry-After"] = fault.retry_after
            return web.Response(status=fault.status, headers=headers, body=fault.body or b"")
        if request.path == "/v2/":
            return web.json_response({})
        for pattern, answer in (
            (_UPLOAD, self._upload),
            (_BLOB, self._blob),
            (_MANIFEST, self._manifest),
            (_TAGS, self._tags),
        ):
            match = pattern.fullmatch(request.path)
            if match is not None:
                return await answer(request, fault, **match.groupdict())
        return _error(404, "NOT_FOUND")

    def _fault(self, request: web.BaseRequest) -> Fault | None:
        if self.faults and self.faults[0].on in f"{request.method} {request.path}":
            return self.faults.popleft()
        return None

    def _unauthorized(self, request: web.BaseRequest) -> web.Response | None:
        shown = request.headers.get("Authorization", "")
        if self.token_realm:
            if shown.removeprefix("Bearer ") in self.issued and shown.startswith("Bearer "):
                return None
            challenge = f'Bearer realm="{self.token_realm}",service="strict",scope="x,y"'
        elif self.username:
            pair = f"{self.username}:{self.password}".encode()
            if shown == f"Basic {base64.b64encode(pair).decode()}":
                return None
            challenge = 'Basic realm="strict"'
        else:
            return None
        answer = _error(401, "UNAUTHORIZED", "authentication required")
        answer.headers["WWW-Authenticate"] = challenge
        return answer

    async def _blob(
        self, request: web.BaseRequest, fault: Fault | None, name: str, digest: str
    ) -> web.StreamResponse:
        content = self.blobs.get(name, {}).get(digest)
        if content is None:
            return _error(404, "BLOB_UNKNOWN")
        if fault is not None and fault.body is not None:
            content = fault.body
        start, status = 0, 200
        match = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        response = web.StreamResponse()
        if match and self.knows_ranges:
            start, status = int(match.group(1)), 206
            response.headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        response.set_status(status)
        response.content_length = len(content) - start
        response.headers["Docker-Content-Digest"] = digest
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        if fault is not None and fault.breaks_after is not None:
            await response.write(content[start : start + fault.breaks_after])
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write(content[start:])
        return response

    async def _manifest(
        self, request: web.BaseRequest, fault: Fault | None, name: str, reference: str
    ) -> web.StreamResponse:
        if request.method == "PUT":
            content, kind = await request.read(), request.headers["Content-Type"]
            digest = digest_of(content)
            if reference.startswith("sha256:") and reference != digest:
                return _error(400, "DIGEST_INVALID")
            missing = self._missing(name, content)
            if missing:
                return _error(404, "MANIFEST_BLOB_UNKNOWN", missing)
            self.add_manifest(name, content, kind, *(() if reference == digest else (reference,)))
            return web.Response(status=201, headers={"Docker-Content-Digest": digest})
        if name not in self.manifests:
            return _error(404, "NAME_UNKNOWN", "repository name not known to registry")
        found = self.manifests[name].get(reference)
        if found is None:
            return _error(404, "MANIFEST_UNKNOWN")
        kind, content = found
        digest = digest_of(content)
        if fault is not None and fault.body is not None:
            content = fault.body
        headers = {"Content-Type": kind, "Docker-Content-Digest": digest}
        if fault is not None:
            headers |= fault.headers
        return web.Response(body=content, headers=headers)

    def _missing(self, name: str, content: bytes) -> str:
        document = json.loads(content)
        wanted = [each["digest"] for each in document.get("layers", [])]
        if "config" in document:
            wanted.append(document["config"]["digest"])
        listed = [each["digest"] for each in document.get("manifests", [])]
        held = self.blobs.get(name, {})
        known = self.manifests.get(name, {})
        absent = [each for each in wanted if each not in held]
        return ", ".join(absent + [each for each in listed if each not in known])

    async def _tags(
        self, request: web.BaseRequest, _fault: Fault | None, name: str
    ) -> web.StreamResponse:
        if name not in self.manifests:
            return _error(404, "NAME_UNKNOWN")
        tags = sorted(each for each in self.manifests[name] if not each.startswith("sha256:"))
        last = request.query.get("last", "")
        rest = [each for each in tags if each > last]
        page = rest[: self.page]
        headers = {}
        if len(rest) > len(page):
            headers["Link"] = f'</v2/{name}/tags/list?last={page[-1]}>; rel="next"'
        return web.json_response({"name": name, "tags": page}, headers=headers)

    async def _upload(
        self, request: web.BaseRequest, fault: Fault | None, name: str, session: str
    ) -> web.StreamResponse:
        if request.method == "POST":
            return self._begin(request, name)
        if session not in self.uploads:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        held = self.uploads[session]
        location = {"Location": f"/v2/{name}/blobs/uploads/{session}"}
        if request.method == "DELETE":
            del self.uploads[session]
            return web.Response(status=204)
        if request.method == "GET":
            return web.Response(status=204, headers=location | _range(held))
        start = request.headers.get("Content-Range", f"{len(held)}-").partition("-")[0]
        if int(start) != len(held):
            return web.Response(status=416, headers=location | _range(held))
        limit = fault.breaks_after if fault is not None else None
        async for chunk in request.content.iter_chunked(1 << 16):
            held += chunk
            if limit is not None and len(held) >= limit:
                assert request.transport is not None
                request.transport.abort()
                return web.Response(status=500)
        if request.method == "PATCH":
            return web.Response(status=202, headers=location | _range(held))
        digest = request.query["digest"]
        del self.uploads[session]
        if digest_of(bytes(held)) != digest:
            return _error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.add_blob(name, bytes(held))
        return web.Response(status=201, headers={"Docker-Content-Digest": digest})

    def _begin(self, request: web.BaseRequest, name: str) -> web.Response:
        digest, other = request.query.get("mount", ""), request.query.get("from", "")
        content = self.blobs.get(other, {}).get(digest)
        if content is not None:
            self.add_blob(name, content)
            return web.Response(status=201)
        session = hashlib.sha256(str(len(self.seen)).encode()).hexdigest()[:32]
        self.uploads[session] = bytearray()
        headers = {"Location": f"/v2/{name}/blobs/uploads/{session}"}
        return web.Response(status=202, headers=headers)


def digest_of(content: bytes) -> str:
    """The sha256 digest of bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _range(held: bytearray) -> dict[str, str]:
    return {"Range": f"0-{max(0, len(held) - 1)}"}


def _error(status: int, code: str, message: str = "") -> web.Response:
    document = {"errors": [{"code": code, "message": message or code.lower().replace("_", " ")}]}
    return web.json_response(document, status=status)
