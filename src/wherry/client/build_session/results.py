"""moby.filesync.v1.FileSend: results on their way here, each as one file.

A directory is asked for as a tar: nothing of it is here yet that need not be sent.
"""

from collections.abc import Callable, Mapping

from grpclib.const import Cardinality, Handler
from grpclib.server import Stream

from wherry.client.build_session.answering import refusing, said
from wherry.wire.buildkit.files import BytesMessage

Take = Callable[[int, bytes], None]
"""Takes a piece of the output with a number."""


def result_service(take: Take) -> Mapping[str, Handler]:
    """The service; the build has succeeded when all that `take` was given is whole."""

    async def receive(stream: Stream[BytesMessage, BytesMessage]) -> None:
        number = int("".join(said(stream).get("buildkit-attachable-exporter-id", ())) or 0)
        async for message in stream:
            with refusing():
                take(number, message.data)

    handler = Handler(receive, Cardinality.STREAM_STREAM, BytesMessage, BytesMessage)
    return {"/moby.filesync.v1.FileSend/DiffCopy": handler}
