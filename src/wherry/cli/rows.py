"""Rows of a list, as a table of fixed columns or through `--format`.

A list's rows are described once, by `Columns`: each has the name that templates use, the header
that tables show, and the function that makes the text. The default table is made without the
template engine, which `wherry ps` would otherwise import for nothing. (Nor are the columns named
tuples, because making such a class generic costs two milliseconds.)
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from wherry.cli.failures import CommandFailed
from wherry.cli.session import Session
from wherry.cli.tables import align, table

if TYPE_CHECKING:
    from wherry.cli.templates.values import GoType, Value

Row = TypeVar("Row")


class Column(Generic[Row]):
    """One property of a row: its name in templates, its header in tables, its text."""

    __slots__ = ("header", "name", "text")

    def __init__(self, name: str, header: str, text: Callable[[Row], str]) -> None:
        self.name = name
        self.header = header
        self.text = text


class Columns(Generic[Row]):
    """All properties of a kind of row, and Docker's name for it in error texts.

    `label` is what `{{.Label "key"}}` gives; `as_json` is the row for `{{json .}}` where that
    is not simply all columns.
    """

    __slots__ = ("as_json", "columns", "label", "type_name")

    def __init__(
        self,
        type_name: str,
        columns: Sequence[Column[Row]],
        *,
        label: Callable[[Row, str], str] | None = None,
        as_json: Callable[[Row], dict[str, str | None]] | None = None,
    ) -> None:
        self.type_name = type_name
        self.columns = columns
        self.label = label
        self.as_json = as_json


def show(
    session: Session,
    rows: Sequence[Row],
    columns: Columns[Row],
    names: Sequence[str],
    *,
    form: str,
    is_quiet: bool = False,
    raw: str = "",
    identity: str = "ID",
) -> None:
    """Print rows as their reader wants them: the table of `names`, identities alone, or a format.

    `raw` is the template of the format of that name, a line for each property.

    Raises: CommandFailed with Docker's text for a template that is wrong.
    """
    if form == "raw" and raw:
        lines = (line for line in raw.split("\n") if f".{identity}}}}}" in line)
        show_formatted(session, rows, columns, next(lines) if is_quiet else raw)
    elif not wants_table(form):
        show_formatted(session, rows, columns, form)
    elif is_quiet:
        (column,) = (each for each in columns.columns if each.name == identity)
        for row in rows:
            session.say(column.text(row))
    else:
        show_table(session, rows, columns, names)


def show_table(
    session: Session, rows: Sequence[Row], columns: Columns[Row], names: Sequence[str]
) -> None:
    """Print the columns named, with their headers."""
    by_name = {column.name: column for column in columns.columns}
    chosen = [by_name[name] for name in names]
    lines = [[column.header for column in chosen]]
    lines += [[column.text(row) for column in chosen] for row in rows]
    session.out.write(table(lines))


def show_formatted(
    session: Session, rows: Sequence[Row], columns: Columns[Row], form: str
) -> None:
    """Print rows by a template, `json`, or `table TEMPLATE`.

    Raises: CommandFailed with Docker's text for a template that is wrong.
    """
    from wherry.cli.templates.executor import TemplateExecutionError, execute
    from wherry.cli.templates.functions import ALL, HEADERS
    from wherry.cli.templates.parser import TemplateSyntaxError, parse

    is_table, source = _source_of(form)
    try:
        template = parse(source, functions=ALL)
    except TemplateSyntaxError as problem:
        raise CommandFailed(f"template parsing error: {problem}") from None
    row_type = _row_type(columns)
    lines = []
    try:
        for row in rows:
            lines.append(execute(template, _pointer(row_type, row)) + "\n")
    except TemplateExecutionError as problem:
        if not is_table:
            session.out.write("".join(lines))
        raise CommandFailed(f"template parsing error: {problem}") from None
    if not is_table:
        session.out.write("".join(lines))
        return
    header = execute(template, _header(columns), functions=HEADERS)
    session.out.write(align(header + "\n" + "".join(lines)))


def columns_used(columns: Columns[Row], blank: Row, form: str) -> set[str]:
    """The columns that a template asks a blank row for.

    Raises: CommandFailed with Docker's text for a template that is wrong.
    """
    from wherry.cli.templates.executor import TemplateExecutionError, execute
    from wherry.cli.templates.functions import ALL
    from wherry.cli.templates.parser import TemplateSyntaxError, parse

    used: set[str] = set()

    def noting(column: Column[Row]) -> Column[Row]:
        def text(row: Row) -> str:
            used.add(column.name)
            return column.text(row)

        return Column(column.name, column.header, text)

    watched = Columns(
        columns.type_name, [noting(column) for column in columns.columns], label=columns.label
    )
    try:
        template = parse(form, functions=ALL)
    except TemplateSyntaxError as problem:
        raise CommandFailed(f"failed to parse template: {problem}") from None
    try:
        execute(template, _pointer(_row_type(watched), blank))
    except TemplateExecutionError as problem:
        raise CommandFailed(f"failed to execute template: {problem}") from None
    return used


def wants_table(form: str) -> bool:
    """Whether the format is the default table."""
    return form in ("", "table")


def _source_of(form: str) -> tuple[bool, str]:
    if form == "json":
        return False, "{{json .}}"
    is_table = form.startswith("table")
    source = form.removeprefix("table").strip(" ") if is_table else form.strip(" ")
    return is_table, source.replace("\\t", "\t").replace("\\n", "\n")


def _pointer(of: "GoType", row: object) -> "Value":
    from wherry.cli.templates.values import Value, pointer_to

    return Value(pointer_to(of), row)


def _row_type(columns: Columns[Row]) -> "GoType":
    from wherry.cli.templates.json_text import html_escaped, json_string
    from wherry.cli.templates.values import Datum, GoType, Kind, Method, Value, of_string

    def method_of(column: Column[Row]) -> Method:
        return lambda row, _arguments: of_string(column.text(row))  # type: ignore[arg-type]

    def label_of(row: Datum, arguments: Sequence[Value]) -> Value:
        key = str(arguments[0].datum) if arguments else ""
        return of_string(columns.label(row, key) if columns.label else "")  # type: ignore[arg-type]

    def encode(row: Datum) -> str:
        if columns.as_json:
            fields = columns.as_json(row)  # type: ignore[arg-type]
        else:
            fields = {each.name: each.text(row) for each in columns.columns}  # type: ignore[arg-type]
        parts = [
            f"{json_string(name)}:{'null' if text is None else json_string(text)}"
            for name, text in sorted(fields.items())
        ]
        return html_escaped(f"{{{','.join(parts)}}}")

    methods = {column.name: method_of(column) for column in columns.columns}
    if columns.label:
        methods["Label"] = label_of
    return GoType(kind=Kind.STRUCT, name=columns.type_name, methods=methods, encodes=encode)


def _header(columns: Columns[Row]) -> "Value":
    from wherry.cli.templates.values import STRING, Datum, GoType, Kind, Value, of_string

    def label(_header: Datum, arguments: Sequence[Value]) -> Value:
        key = str(arguments[0].datum) if arguments else ""
        return of_string(key.rpartition(".")[2].replace("-", " ").replace("_", " "))

    header_type = GoType(
        kind=Kind.MAP,
        name="formatter.SubHeaderContext",
        element=STRING,
        methods={"Label": label},
    )
    return Value(header_type, {column.name: column.header for column in columns.columns})
