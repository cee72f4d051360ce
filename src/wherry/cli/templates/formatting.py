"""Go's fmt: how values print with %v, and Printf (pkg.go.dev/fmt)."""

import math
import re
from collections.abc import Sequence

from wherry.cli.templates.lexer import quoted
from wherry.cli.templates.values import (
    Datum,
    GoType,
    Kind,
    Value,
    element_type,
    entries_of,
    items_of,
    unwrapped,
)

_DIRECTIVE = re.compile(r"%([-+# 0]*)(\*|[0-9]+)?(?:\.(\*|[0-9]*))?(.)?", re.DOTALL)
_INTEGER_BASES = {"d": "d", "b": "b", "o": "o", "x": "x", "X": "X"}


def shown(value: Value | None, *, plus: bool = False) -> str:
    """The value as %v (or %+v) prints it."""
    value = unwrapped(value)
    if value is None:
        return "<nil>"
    return _shown(value.type, value.datum, depth=0, plus=plus)


def type_name(value: Value | None) -> str:
    """The value's type as %T prints it."""
    value = unwrapped(value)
    return "<nil>" if value is None else value.type.name


def sprint(values: Sequence[Value | None]) -> str:
    """As Go's Sprint: blanks between operands of which neither is a string."""
    result = ""
    previous_is_string = True
    for position, each in enumerate(values):
        value = unwrapped(each)
        is_string = value is not None and value.type.kind is Kind.STRING
        if position and not is_string and not previous_is_string:
            result += " "
        result += shown(value)
        previous_is_string = is_string
    return result


def sprintln(values: Sequence[Value | None]) -> str:
    """As Go's Sprintln: blanks between all operands, and a newline."""
    return " ".join(shown(each) for each in values) + "\n"


def sprintf(pattern: str, values: Sequence[Value | None]) -> str:
    """As Go's Sprintf, with its marks for mistakes (`%!d(string=hi)`)."""
    return _Printf(values).format(pattern)


def float_text(number: float, verb: str, precision: int | None, *, threshold: int = 21) -> str:
    """A float64 by verb e, f or g; without a precision, the shortest that reads back the same."""
    if math.isinf(number) or math.isnan(number):
        return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}[str(number)]
    if precision is not None:
        return f"{number:.{precision}{verb}}"
    mantissa, _, exponent_text = f"{number!r}".partition("e")
    digits, exponent = _shortest(mantissa, exponent_text)
    sign = "-" if math.copysign(1, number) < 0 else ""
    if verb == "e" or (verb == "g" and (exponent < -4 or exponent >= threshold)):
        point = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{point}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def _shortest(mantissa: str, exponent_text: str) -> tuple[str, int]:
    """Significant digits, and the power of ten of the first one."""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    exponent = int(exponent_text or 0) + len(whole) - 1 - leading
    digits = digits.rstrip("0")
    return (digits, exponent) if digits else ("0", 0)


def _shown(of: GoType, datum: Datum, *, depth: int, plus: bool) -> str:
    if of.shows is not None and datum is not None:
        return of.shows(datum)
    match of.kind:
        case Kind.BOOL:
            return "true" if datum else "false"
        case Kind.STRING | Kind.INT | Kind.UINT:
            return str(datum)
        case Kind.FLOAT:
            return float_text(float(str(datum)), "g", None)
        case Kind.COMPLEX:
            number = complex(str(datum)) if isinstance(datum, str) else datum
            if not isinstance(number, complex):
                return str(datum)
            real, imaginary = (float_text(x, "g", None) for x in (number.real, number.imag))
            return f"({real}{'' if imaginary[0] in '+-' else '+'}{imaginary}i)"
        case Kind.INTERFACE:
            if not isinstance(datum, Value):
                return "<nil>"
            return _shown(datum.type, datum.datum, depth=depth, plus=plus)
        case Kind.POINTER:
            return _shown_pointer(of, datum, depth=depth, plus=plus)
        case Kind.SLICE:
            element = element_type(of)
            parts = [
                _shown(element, each, depth=depth + 1, plus=plus)
                for each in items_of(Value(of, datum))
            ]
            return f"[{' '.join(parts)}]"
        case Kind.MAP:
            element = element_type(of)
            parts = [
                f"{key}:{_shown(element, each, depth=depth + 1, plus=plus)}"
                for key, each in sorted(entries_of(Value(of, datum)).items())
            ]
            return f"map[{' '.join(parts)}]"
        case Kind.STRUCT:
            entries = entries_of(Value(of, datum))
            parts = [
                (f"{each.name}:" if plus else "")
                + _shown(each.type, entries.get(each.name), depth=depth + 1, plus=plus)
                for each in of.fields
            ]
            return f"{{{' '.join(parts)}}}"


def _shown_pointer(of: GoType, datum: Datum, *, depth: int, plus: bool) -> str:
    if datum is None:
        return "<nil>"
    element = element_type(of)
    if element.shows is not None:
        return element.shows(datum)
    if depth == 0 and element.kind in (Kind.STRUCT, Kind.SLICE, Kind.MAP):
        return "&" + _shown(element, datum, depth=1, plus=plus)
    return f"0xc{id(datum) & 0xFFFFFFFFF:09x}"


class _Printf:
    """One call of Printf: takes operands in order as the directives ask for them."""

    def __init__(self, values: Sequence[Value | None]) -> None:
        self._values = values
        self._taken = 0

    def format(self, pattern: str) -> str:
        result = _DIRECTIVE.sub(self._directive, pattern)
        left = self._values[self._taken :]
        if left:
            extra = ", ".join(_typed(each) for each in left)
            result += f"%!(EXTRA {extra})"
        return result

    def _directive(self, match: re.Match[str]) -> str:
        flags, width_text, precision_text, verb = match.groups()
        width, problem = self._star_or_number(width_text, "%!(BADWIDTH)")
        precision, precision_problem = self._star_or_number(precision_text, "%!(BADPREC)")
        if precision_text == "":
            precision = 0
        problem += precision_problem
        if verb is None:
            return problem + "%!(NOVERB)"
        if verb == "%":
            return problem + "%"
        if self._taken >= len(self._values):
            return problem + f"%!{verb}(MISSING)"
        value = unwrapped(self._values[self._taken])
        self._taken += 1
        if width is not None and width < 0:
            flags, width = flags + "-", -width
        text = _formatted(verb, value, flags, precision)
        return problem + _padded(text, flags, width, value, verb)

    def _star_or_number(self, text: str | None, problem: str) -> tuple[int | None, str]:
        if text != "*":
            return (int(text), "") if text else (None, "")
        value = unwrapped(self._values[self._taken]) if self._taken < len(self._values) else None
        self._taken += 1
        if value is None or not isinstance(value.datum, int):
            return None, problem
        return value.datum, ""


def _padded(text: str, flags: str, width: int | None, value: Value | None, verb: str) -> str:
    if width is None or len(text) >= width:
        return text
    if "-" in flags:
        return text.ljust(width)
    if "0" not in flags:
        return text.rjust(width)
    if text[:1] in ("+", "-") and value is not None and value.type.kind is not Kind.STRING:
        return text[0] + text[1:].rjust(width - 1, "0")
    return text.rjust(width, "0")


def _typed(value: Value | None) -> str:
    """`int=5`, as fmt's complaints show an operand."""
    value = unwrapped(value)
    return "<nil>" if value is None else f"{value.type.name}={shown(value)}"


def _formatted(verb: str, value: Value | None, flags: str, precision: int | None) -> str:
    if verb == "T":
        return type_name(value)
    if value is None:
        return "<nil>" if verb == "v" else f"%!{verb}(<nil>)"
    if verb == "v":
        if "#" in flags:
            return _go_syntax(value)
        return _signed(shown(value, plus="+" in flags), value, flags)
    if value.type.shows is not None and verb in ("s", "q"):
        value = Value(GoType(kind=Kind.STRING, name="string"), value.type.shows(value.datum))
    match value.type.kind:
        case Kind.SLICE:
            parts = [
                _formatted(
                    verb, unwrapped(Value(element_type(value.type), each)), flags, precision
                )
                for each in items_of(value)
            ]
            return f"[{' '.join(parts)}]"
        case Kind.MAP:
            element = element_type(value.type)
            key_type = GoType(kind=Kind.STRING, name="string")
            parts = [
                _formatted(verb, Value(key_type, key), flags, precision)
                + ":"
                + _formatted(verb, unwrapped(Value(element, each)), flags, precision)
                for key, each in sorted(entries_of(value).items())
            ]
            return f"map[{' '.join(parts)}]"
        case Kind.STRUCT:
            entries = entries_of(value)
            parts = [
                _formatted(verb, unwrapped(Value(each.type, entries[each.name])), flags, precision)
                for each in value.type.fields
            ]
            return f"{{{' '.join(parts)}}}"
        case Kind.POINTER if value.datum is not None:
            return "&" + _formatted(
                verb, Value(element_type(value.type), value.datum), flags, precision
            )
    text = _scalar(verb, value, flags, precision)
    return f"%!{verb}({_typed(value)})" if text is None else text


def _scalar(verb: str, value: Value, flags: str, precision: int | None) -> str | None:
    """A scalar by verb; None when the verb doesn't fit the type."""
    match value.type.kind, value.datum:
        case Kind.STRING, str(text):
            return _string_verb(verb, text, flags, precision)
        case Kind.BOOL, bool(truth):
            return ("true" if truth else "false") if verb == "t" else None
        case ((Kind.INT | Kind.UINT), int(number)):
            return _integer_verb(verb, number, flags)
        case Kind.FLOAT, float(number):
            if verb not in "eEfFgG":
                return None
            default = 6 if verb in "eEfF" else None
            chosen = default if precision is None else precision
            text = float_text(number, verb.lower(), chosen)
            return _signed(text.upper() if verb in "EG" else text, value, flags)
    return None


def _string_verb(verb: str, text: str, flags: str, precision: int | None) -> str | None:
    if precision is not None:
        text = text[:precision]
    match verb:
        case "s":
            return text
        case "q":
            return f"`{text}`" if "#" in flags and "`" not in text else quoted(text)
        case "x" | "X":
            digits = text.encode(errors="surrogateescape").hex(" " if " " in flags else "")
            return digits if verb == "x" else digits.upper()
    return None


def _integer_verb(verb: str, number: int, flags: str) -> str | None:
    if verb in _INTEGER_BASES:
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in flags else ""
        sign = "-" if number < 0 else "+" if "+" in flags else " " if " " in flags else ""
        return f"{sign}{prefix}{abs(number):{_INTEGER_BASES[verb]}}"
    is_character = 0 <= number <= 0x10FFFF
    match verb:
        case "c":
            return chr(number if is_character else 0xFFFD)
        case "q":
            return "'" + quoted(chr(number if is_character else 0xFFFD))[1:-1] + "'"
        case "U":
            return f"U+{number:04X}"
        case "O":
            return f"0o{number:o}"
    return None


def _signed(text: str, value: Value, flags: str) -> str:
    if value.type.kind not in (Kind.INT, Kind.UINT, Kind.FLOAT) or text[:1] in ("-", "+"):
        return text
    return ("+" if "+" in flags else " " if " " in flags else "") + text


def _go_syntax(value: Value | None) -> str:
    """%#v: the value as Go source would write it."""
    value = unwrapped(value)
    if value is None:
        return "interface {}(nil)"
    name = value.type.name
    match value.type.kind:
        case Kind.STRING:
            return quoted(str(value.datum))
        case Kind.SLICE if value.datum is not None:
            element = element_type(value.type)
            parts = [_go_syntax(Value(element, each)) for each in items_of(value)]
            return f"{name}{{{', '.join(parts)}}}"
        case Kind.MAP if value.datum is not None:
            element = element_type(value.type)
            entries = sorted(entries_of(value).items())
            parts = [f"{quoted(key)}:{_go_syntax(Value(element, each))}" for key, each in entries]
            return f"{name}{{{', '.join(parts)}}}"
        case Kind.SLICE | Kind.MAP:
            return f"{name}(nil)"
        case Kind.POINTER if value.datum is None:
            return f"({name})(nil)"
        case Kind.POINTER:
            return "&" + _go_syntax(Value(element_type(value.type), value.datum))
        case Kind.STRUCT:
            entries_by_name = entries_of(value)
            parts = [
                f"{each.name}:{_go_syntax(Value(each.type, entries_by_name[each.name]))}"
                for each in value.type.fields
            ]
            return f"{name}{{{', '.join(parts)}}}"
    return shown(value)
