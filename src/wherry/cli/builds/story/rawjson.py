"""A build as one line of JSON per message, with the names that BuildKit's own client gives."""

import json
from base64 import b64encode
from typing import TextIO

from wherry.client.documents import Document, Json
from wherry.kit.timestamps import rfc3339_nano
from wherry.wire.buildkit import control as wire
from wherry.wire.buildkit.sources import Range
from wherry.wire.protobuf import Timestamp


def write_raw(response: wire.StatusResponse, to: TextIO) -> None:
    """One message."""
    parts: Document = {
        "vertexes": [_vertex(each) for each in response.vertexes],
        "statuses": [_status(each) for each in response.statuses],
        "logs": [_log(each) for each in response.logs],
        "warnings": [_warning(each) for each in response.warnings],
        "reports": [_report(each) for each in response.reports],
        "wastes": [{"vertex": each.vertex, "bytes": each.bytes} for each in response.wastes],
        "skipped": [{"name": each.name, "line": each.line} for each in response.skipped],
    }
    to.write(json.dumps(_without_empty(parts)) + "\n")
    to.flush()


def _vertex(vertex: wire.Vertex) -> Json:
    inputs: Json = [*vertex.inputs]
    return _without_empty(
        {
            "digest": vertex.digest,
            "inputs": inputs,
            "name": vertex.name,
            "started": _moment(vertex.started),
            "completed": _moment(vertex.completed),
            "cached": vertex.cached,
            "error": vertex.error,
        }
    )


def _status(status: wire.VertexStatus) -> Json:
    return _without_empty(
        {
            "id": status.ID,
            "vertex": status.vertex,
            "name": status.name,
            "total": status.total,
            "current": status.current,
            "timestamp": _moment(status.timestamp),
            "started": _moment(status.started),
            "completed": _moment(status.completed),
        }
    )


def _log(log: wire.VertexLog) -> Json:
    return _without_empty(
        {
            "vertex": log.vertex,
            "stream": log.stream,
            "data": _bytes(log.msg),
            "timestamp": _moment(log.timestamp),
        }
    )


def _warning(warning: wire.VertexWarning) -> Json:
    info = warning.info
    return _without_empty(
        {
            "vertex": warning.vertex,
            "level": warning.level,
            "short": _bytes(warning.short),
            "detail": [_bytes(each) for each in warning.detail],
            "url": warning.url,
            "sourceInfo": {"filename": info.filename, "data": _bytes(info.data)} if info else "",
            "range": [_range(each) for each in warning.ranges],
        }
    )


def _report(report: wire.StepReport) -> Json:
    causes: Json = [
        _without_empty(
            {"kind": each.kind, "subject": each.subject, "before": each.before, "now": each.now}
        )
        for each in report.causes
    ]
    return _without_empty(
        {
            "vertex": report.vertex,
            "stage": report.stage,
            "cached": report.was_cached,
            "bytes": report.bytes,
            "causes": causes,
            "more": report.more,
            "comparedAt": _moment(report.compared_at),
        }
    )


def _range(place: Range) -> Json:
    start, end = place.start, place.end
    return {
        "start": {"line": start.line if start else 0},
        "end": {"line": end.line if end else 0},
    }


def _bytes(content: bytes) -> str:
    return b64encode(content).decode()


def _moment(moment: Timestamp | None) -> str:
    if moment is None:
        return ""
    return rfc3339_nano(moment.seconds * 1_000_000_000 + moment.nanos)


def _without_empty(members: Document) -> Document:
    return {name: value for name, value in members.items() if value not in ("", 0, False, [])}
