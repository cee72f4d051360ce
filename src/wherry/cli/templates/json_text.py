"""Values as JSON, with the bytes that Go's encoder would write."""

import json

from wherry.cli.templates.formatting import float_text
from wherry.cli.templates.values import (
    Datum,
    GoType,
    Kind,
    StructField,
    Value,
    element_type,
    entries_of,
    items_of,
    unwrapped,
)


def json_text(value: Value | None, *, escapes_html: bool = False) -> str:
    """Compact JSON: maps sorted by key, struct fields in their order, empty ones left out."""
    value = unwrapped(value)
    text = "null" if value is None else _encoded(value.type, value.datum)
    return html_escaped(text) if escapes_html else text


def html_escaped(text: str) -> str:
    """JSON in which `<`, `>` and `&` are escaped, as Go's Marshal does."""
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def json_string(text: str) -> str:
    """A JSON string as Go writes it."""
    shown = json.dumps(text, ensure_ascii=False)
    return shown.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x7f", "\x7f")


def _encoded(of: GoType, datum: Datum) -> str:
    if of.encodes is not None:
        return of.encodes(datum)
    match of.kind:
        case Kind.INTERFACE:
            return _encoded(datum.type, datum.datum) if isinstance(datum, Value) else "null"
        case Kind.POINTER:
            return "null" if datum is None else _encoded(element_type(of), datum)
        case Kind.BOOL:
            return "true" if datum else "false"
        case Kind.INT | Kind.UINT:
            return str(datum)
        case Kind.FLOAT:
            return _float(float(str(datum)))
        case Kind.STRING:
            return str(datum) if of.name == "json.Number" else json_string(str(datum))
        case Kind.SLICE:
            if datum is None:
                return "null"
            element = element_type(of)
            return f"[{','.join(_encoded(element, each) for each in items_of(Value(of, datum)))}]"
        case Kind.MAP:
            if datum is None:
                return "null"
            element = element_type(of)
            entries = sorted(entries_of(Value(of, datum)).items())
            parts = (f"{json_string(key)}:{_encoded(element, each)}" for key, each in entries)
            return f"{{{','.join(parts)}}}"
        case Kind.STRUCT:
            return f"{{{','.join(_struct_parts(of, datum))}}}"
        case Kind.COMPLEX:
            return "null"


def _struct_parts(of: GoType, datum: Datum) -> list[str]:
    parts: list[str] = []
    entries = entries_of(Value(of, datum))
    for each in of.fields:
        value = entries[each.name]
        if each.is_embedded:
            inner = element_type(each.type) if each.type.kind is Kind.POINTER else each.type
            parts += _struct_parts(inner, value) if value is not None else []
        elif each.json_name and not (each.omits_empty and _is_empty(each, value)):
            text = _encoded(each.type, value)
            shown = f'"{text}"' if each.json_is_string else text
            parts.append(f"{json_string(each.json_name)}:{shown}")
    return parts


def _is_empty(field: StructField, datum: Datum) -> bool:
    """Go's `omitempty`: false, zero, nil, or of length zero; never a struct."""
    return (
        field.type.kind is not Kind.STRUCT
        and not (field.type.kind is Kind.POINTER and datum is not None)
        and not datum
    )


def _float(number: float) -> str:
    magnitude = abs(number)
    if number and (magnitude < 1e-6 or magnitude >= 1e21):
        text = float_text(number, "e", None)
        return text.replace("e-0", "e-") if "e-0" in text else text
    return float_text(number, "f", None)
