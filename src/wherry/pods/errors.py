"""What pods can not be made of, and what went wrong while one was made."""


class ManifestError(Exception):
    """A manifest says what can not be; the text names the file, the field and the value."""


class PodError(Exception):
    """A pod could not be made, or is not there."""
