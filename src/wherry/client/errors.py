"""What can go wrong between a client and an engine."""


class ClientError(Exception):
    """Any failure of a request."""


class InvalidEndpoint(ClientError):
    """An address of an engine that cannot be understood."""


class Unreachable(ClientError):
    """No engine answers at the address."""

    def __init__(self, address: str, cause: OSError) -> None:
        super().__init__(f"cannot connect to {address}: {cause}")
        self.address = address
        self.cause = cause

    @property
    def is_forbidden(self) -> bool:
        """Whether the socket is there and the user may not use it."""
        return isinstance(self.cause, PermissionError)


class ProtocolError(ClientError):
    """The peer doesn't speak HTTP/1.1, or breaks off in the middle."""


class ApiError(ClientError):
    """The engine refused: an HTTP status of 400 or more, and its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class EmptyName(ApiError):
    """An object was to be named, and was not: refused before anything is asked."""

    def __init__(self, kind: str) -> None:
        super().__init__(0, f"invalid {kind} name or ID: value is empty")
