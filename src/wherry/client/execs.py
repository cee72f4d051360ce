"""Commands in running containers, over the Engine API."""

from wherry.client.connection import Hijacked
from wherry.client.documents import Document, document, text
from wherry.client.transport import Transport, segment


class Execs:
    """The endpoints of exec. Every method raises as `Transport.request`."""

    def __init__(self, client: Transport) -> None:
        self._client = client

    def create(self, container: str, config: Document) -> str:
        """Prepare a command; its id."""
        path = f"/containers/{segment('container', container)}/exec"
        return text(document(self._client.fetch("POST", path, body=config)), "Id")

    def start_detached(self, exec_id: str, *, has_terminal: bool = False) -> None:
        """Run it without streams."""
        body: Document = {"Detach": True, "Tty": has_terminal}
        self._client.request("POST", f"/exec/{segment('exec', exec_id)}/start", body=body).read()

    def start(
        self, exec_id: str, *, has_terminal: bool, size: tuple[int, int] | None = None
    ) -> Hijacked:
        """Run it; the stream carries its input and output. The size is rows, columns."""
        body: Document = {"Detach": False, "Tty": has_terminal}
        if size is not None:
            body["ConsoleSize"] = list(size)
        return self._client.hijack(f"/exec/{segment('exec', exec_id)}/start", body=body)

    def inspect(self, exec_id: str) -> Document:
        """Its state; ExitCode is null while it runs."""
        return document(self._client.fetch("GET", f"/exec/{segment('exec', exec_id)}/json"))

    def resize(self, exec_id: str, *, rows: int, columns: int) -> None:
        """Set the size of its terminal, in characters."""
        query = [("h", str(rows)), ("w", str(columns))]
        path = f"/exec/{segment('exec', exec_id)}/resize"
        self._client.request("POST", path, query=query).read()
