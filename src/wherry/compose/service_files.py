"""Files that services name for their variables and labels: what they say takes their place."""

from collections.abc import Mapping

from wherry.client.documents import Document, child, document, text, texts
from wherry.compose.env_files import read_env_file, text_of
from wherry.compose.errors import ComposeError
from wherry.compose.normalising import resolved_pairs


def with_label_files(value: Document) -> Document:
    """Services with the labels of their files, below those that they name themselves."""
    services = child(value, "services")
    if not any("label_file" in document(each) for each in services.values()):
        return value
    done: Document = {}
    for name, each in services.items():
        service = dict(document(each))
        found: Document = {}
        for path in texts(service, "label_file"):
            found |= _of_label_file(path)
        service.pop("label_file", None)
        if found:
            service["labels"] = {**found, **document(resolved_pairs(service.get("labels"), {}))}
        done[name] = service
    return {**value, "services": done}


def _of_label_file(path: str) -> Document:
    try:
        content = text_of(path)
    except FileNotFoundError:
        raise ComposeError(
            f"label file {path} not found: stat {path}: no such file or directory"
        ) from None
    return dict(read_env_file(content, path, {}))


def with_env_files(value: Document, variables: Mapping[str, str]) -> Document:
    """Services with the variables of their files, below those that they name themselves."""
    done: Document = {}
    for name, each in child(value, "services").items():
        service = dict(document(each))
        own = document(resolved_pairs(service.get("environment"), variables))
        found: Document = {}
        files = service.pop("env_file", None)
        for entry in files if isinstance(files, list) else []:
            known = {**_strings(found), **_strings(own), **variables}
            found |= _of_env_file(document(entry), known)
        if found or own:
            service["environment"] = {**found, **own}
        done[name] = service
    return {**value, "services": done} if done else value


def _strings(pairs: Document) -> dict[str, str]:
    return {key: each for key, each in pairs.items() if isinstance(each, str)}


def _of_env_file(entry: Document, variables: Mapping[str, str]) -> Document:
    path = text(entry, "path")
    try:
        content = text_of(path)
    except FileNotFoundError:
        if entry.get("required") is False:
            return {}
        raise ComposeError(
            f"env file {path} not found: stat {path}: no such file or directory"
        ) from None
    form = text(entry, "format")
    if form not in ("", "raw"):
        raise ComposeError(f"unsupported env_file format {form!r}")
    return dict(read_env_file(content, path, variables, is_raw=form == "raw"))
