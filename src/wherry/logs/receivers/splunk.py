"""Splunk's HTTP event collector."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wherry.logs.receivers.messages import Json, LogSource, Message, Patience, ReceiverRefused
from wherry.logs.receivers.sockets import DIAL_TIMEOUT_S, problem_text
from wherry.logs.targets.splunk import parse_splunk

if TYPE_CHECKING:
    from http.client import HTTPConnection

_PATH = "/services/collector/event/1.0"
_LARGEST_ANSWER = 64 * 1024
_DEFAULT_LEVEL = 6
"""What zlib means by -1."""


class SplunkReceiver:
    """An event collector."""

    patience = Patience()

    def __init__(self, options: Mapping[str, str], source: LogSource) -> None:
        """Raises: ValueError."""
        self._target = parse_splunk(options)
        self._source = source
        self._tag = "" if options.get("tag") == "" else source.tag
        words = [self._tag] if self._tag else []
        words += [f"{name}={value}" for name, value in source.attributes.items()]
        self._prefix = "".join(f"{word} " for word in words)
        self._connection: HTTPConnection | None = None

    def open(self) -> None:
        """Connect, and see that it is one. Raises: ReceiverRefused."""
        self._connection = self._new_connection()
        if self._target.verifies_connection:
            status, body = self._request("OPTIONS", b"")
            if status != 200:
                raise ReceiverRefused(f"splunk: failed to verify connection - {status} - {body}")

    def send(self, messages: Sequence[Message]) -> None:
        """One request. Raises: ReceiverRefused."""
        if self._connection is None:
            self._connection = self._new_connection()
        events = [self._event(each) for each in messages if self._is_sent(each)]
        if not events:
            return
        content = b"".join(json.dumps(each, separators=(",", ":")).encode() for each in events)
        status, body = self._request("POST", content)
        if status != 200:
            raise ReceiverRefused(f"splunk: failed to send event - {status} - {body}")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _new_connection(self) -> "HTTPConnection":
        # Here, because only loggers that need it should pay for it.
        import http.client

        target = self._target
        if target.scheme == "http":
            return http.client.HTTPConnection(target.host, target.port, timeout=DIAL_TIMEOUT_S)
        import ssl

        context = ssl.create_default_context(cafile=target.ca_file or None)
        if target.ca_name:
            # The name that its certificate has, whatever the address.
            wrap = context.wrap_socket

            def wrap_by_name(sock: object, **more: object) -> ssl.SSLSocket:
                more["server_hostname"] = target.ca_name
                return wrap(sock, **more)  # type: ignore[arg-type]

            context.wrap_socket = wrap_by_name  # type: ignore[method-assign,assignment]
        if not target.verifies:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(
            target.host, target.port, timeout=DIAL_TIMEOUT_S, context=context
        )

    def _request(self, method: str, content: bytes) -> tuple[int, str]:
        import http.client

        assert self._connection is not None
        headers = {"Authorization": f"Splunk {self._target.token}"}
        if self._target.is_compressed and content:
            import gzip

            level = self._target.level
            content = gzip.compress(content, _DEFAULT_LEVEL if level < 0 else level)
            headers["Content-Encoding"] = "gzip"
        try:
            self._connection.request(method, _PATH, content or None, headers)
            answer = self._connection.getresponse()
            body = answer.read(_LARGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            where = f"{self._target.scheme}://{self._target.host}:{self._target.port}{_PATH}"
            raise ReceiverRefused(f'{method.capitalize()} "{where}": {problem_text(error)}') from (
                error
            )
        return answer.status, body.decode("utf-8", "replace")

    def _is_sent(self, message: Message) -> bool:
        """The collector refuses events of blanks only."""
        return self._target.format != "raw" or bool(message.text.strip())

    def _event(self, message: Message) -> dict[str, Json]:
        target = self._target
        event: dict[str, Json] = {
            "event": self._content(message),
            "time": f"{message.at_ns / 1e9:f}",
            "host": self._source.hostname,
        }
        optional = {"source": target.source, "sourcetype": target.source_type,
                    "index": target.index}  # fmt: skip
        return event | {name: value for name, value in optional.items() if value}

    def _content(self, message: Message) -> Json:
        if self._target.format == "raw":
            return self._prefix + message.text
        line: Json = message.text
        if self._target.format == "json":
            try:
                line = json.loads(message.text)
            except (ValueError, RecursionError):
                line = message.text
        content: dict[str, Json] = {"line": line, "source": message.stream}
        if self._tag:
            content["tag"] = self._tag
        if self._source.attributes:
            content["attrs"] = dict(self._source.attributes)
        return content
