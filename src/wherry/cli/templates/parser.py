"""Tokens to nodes (the grammar of Go's text/template), with Go's error texts."""

from collections.abc import Collection

from wherry.cli.templates import nodes
from wherry.cli.templates.lexer import Lexeme, Token, quoted, tokens
from wherry.cli.templates.literals import number_value, unquoted

_OPERANDS = frozenset(
    {
        Token.BOOL, Token.CHARACTER_CONSTANT, Token.DOT, Token.FIELD, Token.IDENTIFIER,
        Token.NUMBER, Token.NIL, Token.RAW_STRING, Token.STRING, Token.VARIABLE,
        Token.LEFT_PARENTHESIS,
    }
)  # fmt: skip
_NOT_EXECUTABLE = (nodes.Boolean, nodes.Dot, nodes.Nil, nodes.Number, nodes.String)


class TemplateSyntaxError(ValueError):
    """A template that cannot be parsed; the text is Go's."""


def parse(source: str, *, functions: Collection[str], name: str = "") -> nodes.Template:
    """Parse a template that may use the functions named.

    Raises: TemplateSyntaxError.
    """
    return nodes.Template(name, source, _Parser(source, functions, name).template())


class _End:
    """`{{end}}` or `{{else}}`, which close a list of nodes."""

    def __init__(self, word: str) -> None:
        self.word = word

    def __str__(self) -> str:
        return f"{{{{{self.word}}}}}"


class _Parser:
    def __init__(self, source: str, functions: Collection[str], name: str) -> None:
        self._lexemes = tokens(source)
        self._at = 0
        self._functions = functions
        self._name = name
        self._variables = ["$"]
        self._ranges = 0
        self._action_line = 0

    def template(self) -> nodes.Body:
        found: list[nodes.Node] = []
        while self._peek().kind is not Token.END_OF_TEXT:
            node = self._text_or_action()
            if isinstance(node, _End):
                raise self._error(f"unexpected {node}")
            found.append(node)
        return nodes.Body(tuple(found))

    # Tokens. The last one is repeated for ever, so that looking ahead needs no bounds.

    def _peek(self) -> Lexeme:
        return self._lexemes[min(self._at, len(self._lexemes) - 1)]

    def _next(self) -> Lexeme:
        lexeme = self._peek()
        self._at += 1
        return lexeme

    def _skip_space(self) -> None:
        while self._peek().kind is Token.SPACE:
            self._at += 1

    def _peek_after_space(self) -> Lexeme:
        self._skip_space()
        return self._peek()

    def _next_after_space(self) -> Lexeme:
        self._skip_space()
        return self._next()

    def _error(self, problem: str) -> TemplateSyntaxError:
        line = self._lexemes[min(max(self._at - 1, 0), len(self._lexemes) - 1)].line
        return TemplateSyntaxError(f"template: {self._name}:{line}: {problem}")

    def _unexpected(self, lexeme: Lexeme, context: str) -> TemplateSyntaxError:
        if lexeme.kind is not Token.ERROR:
            return self._error(f"unexpected {lexeme} in {context}")
        extra = ""
        if self._action_line not in (0, lexeme.line):
            extra = f" in action started at {self._name}:{self._action_line}"
            if lexeme.text.endswith(" action"):
                extra = extra.removeprefix(" in action")
        return self._error(f"{lexeme}{extra}")

    # Nodes.

    def _text_or_action(self) -> nodes.Node | _End:
        lexeme = self._next_after_space()
        if lexeme.kind is Token.TEXT:
            return nodes.Text(lexeme.position, lexeme.text)
        if lexeme.kind is Token.LEFT_DELIMITER:
            self._action_line = lexeme.line
            node = self._action()
            self._action_line = 0
            return node
        raise self._unexpected(lexeme, "input")

    def _action(self) -> nodes.Node | _End:
        lexeme = self._peek_after_space()
        if lexeme.kind is not Token.KEYWORD:
            return nodes.Action(lexeme.position, self._pipeline("command", Token.RIGHT_DELIMITER))
        self._next()
        match lexeme.text:
            case "if" | "with" | "range":
                return self._control(lexeme)
            case "end":
                self._expect_right_delimiter("end")
                return _End("end")
            case "else":
                if not self._is_keyword(self._peek_after_space(), "if", "with"):
                    self._expect_right_delimiter("else")
                return _End("else")
            case "break" | "continue" as word:
                self._expect_right_delimiter(f"{{{{{word}}}}}")
                if not self._ranges:
                    raise self._error(f"{{{{{word}}}}} outside {{{{range}}}}")
                kind = nodes.Break if word == "break" else nodes.Continue
                return kind(lexeme.position)
        raise self._unexpected(lexeme, "command")

    @staticmethod
    def _is_keyword(lexeme: Lexeme, *words: str) -> bool:
        return lexeme.kind is Token.KEYWORD and lexeme.text in words

    def _expect_right_delimiter(self, context: str) -> None:
        lexeme = self._next_after_space()
        if lexeme.kind is not Token.RIGHT_DELIMITER:
            raise self._unexpected(lexeme, context)

    def _control(self, keyword: Lexeme) -> nodes.Control:
        word = keyword.text
        visible = len(self._variables)
        pipeline = self._pipeline(word, Token.RIGHT_DELIMITER)
        self._ranges += word == "range"
        body, closing = self._body()
        self._ranges -= word == "range"
        otherwise = nodes.Body()
        if closing.word == "else":
            following = self._peek()
            if word != "range" and self._is_keyword(following, word):
                self._next()
                otherwise = nodes.Body((self._control(following),))
            else:
                otherwise, closing = self._body()
                if closing.word != "end":
                    raise self._error(f"expected end; found {closing}")
        del self._variables[visible:]
        return nodes.Control(keyword.position, word, pipeline, body, otherwise)

    def _body(self) -> tuple[nodes.Body, _End]:
        found: list[nodes.Node] = []
        while self._peek_after_space().kind is not Token.END_OF_TEXT:
            node = self._text_or_action()
            if isinstance(node, _End):
                return nodes.Body(tuple(found)), node
            found.append(node)
        self._next()
        raise self._error("unexpected EOF")

    def _pipeline(self, context: str, closing: Token) -> nodes.Pipeline:
        position = self._peek_after_space().position
        declared, is_assignment = self._declarations(context)
        commands: list[nodes.Command] = []
        while True:
            lexeme = self._next_after_space()
            if lexeme.kind is closing:
                self._check_pipeline(commands, context)
                return nodes.Pipeline(position, declared, tuple(commands), is_assignment)
            if lexeme.kind not in _OPERANDS:
                raise self._unexpected(lexeme, context)
            self._at -= 1
            commands.append(self._command())

    def _check_pipeline(self, commands: list[nodes.Command], context: str) -> None:
        if not commands:
            raise self._error(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], start=2):
            if isinstance(command.operands[0], _NOT_EXECUTABLE):
                raise self._error(f"non executable command in pipeline stage {stage}")

    def _declarations(self, context: str) -> tuple[tuple[nodes.Variable, ...], bool]:
        declared: list[nodes.Variable] = []
        while self._peek_after_space().kind is Token.VARIABLE:
            begin = self._at
            variable = self._next()
            lexeme = self._next_after_space()
            is_comma = lexeme.kind is Token.CHAR and lexeme.text == ","
            if lexeme.kind not in (Token.ASSIGN, Token.DECLARE) and not is_comma:
                self._at = begin
                break
            declared.append(nodes.Variable(variable.position, variable.text))
            self._variables.append(variable.text)
            if not is_comma:
                return tuple(declared), lexeme.kind is Token.ASSIGN
            if context != "range" or len(declared) >= 2:
                raise self._error(f"too many declarations in {context}")
            following = self._peek_after_space().kind
            if following not in (
                Token.VARIABLE, Token.RIGHT_DELIMITER, Token.RIGHT_PARENTHESIS
            ):  # fmt: skip
                raise self._error("range can only initialize variables")
        return tuple(declared), False

    def _command(self) -> nodes.Command:
        position = self._peek_after_space().position
        operands: list[nodes.Operand] = []
        while True:
            self._skip_space()
            operand = self._operand()
            if operand is not None:
                operands.append(operand)
            lexeme = self._next()
            if lexeme.kind is Token.SPACE:
                continue
            if lexeme.kind in (Token.RIGHT_DELIMITER, Token.RIGHT_PARENTHESIS):
                self._at -= 1
            elif lexeme.kind is not Token.PIPE:
                raise self._unexpected(lexeme, "operand")
            break
        if not operands:
            raise self._error("empty command")
        return nodes.Command(position, tuple(operands))

    def _operand(self) -> nodes.Operand | None:
        term = self._term()
        if term is None or self._peek().kind is not Token.FIELD:
            return term
        position = self._peek().position
        names: list[str] = []
        while self._peek().kind is Token.FIELD:
            names.append(self._next().text[1:])
        match term:
            case nodes.Field():
                return nodes.Field(position, (*term.names, *names))
            case nodes.Variable():
                return nodes.Variable(position, term.name, (*term.names, *names))
            case nodes.Boolean() | nodes.String() | nodes.Number() | nodes.Nil() | nodes.Dot():
                raise self._error(f"unexpected . after term {quoted(str(term))}")
            case _:
                return nodes.Chain(position, term, tuple(names))

    def _term(self) -> nodes.Operand | None:
        lexeme = self._next_after_space()
        position, text = lexeme.position, lexeme.text
        match lexeme.kind:
            case Token.IDENTIFIER:
                if text not in self._functions:
                    raise self._error(f"function {quoted(text)} not defined")
                return nodes.Identifier(position, text)
            case Token.DOT:
                return nodes.Dot(position)
            case Token.NIL:
                return nodes.Nil(position)
            case Token.VARIABLE:
                if text not in self._variables:
                    raise self._error(f"undefined variable {quoted(text)}")
                return nodes.Variable(position, text)
            case Token.FIELD:
                return nodes.Field(position, (text[1:],))
            case Token.BOOL:
                return nodes.Boolean(position, text == "true")
            case Token.NUMBER | Token.CHARACTER_CONSTANT:
                return self._number(lexeme)
            case Token.STRING | Token.RAW_STRING:
                return self._string(lexeme)
            case Token.LEFT_PARENTHESIS:
                return self._pipeline("parenthesized pipeline", Token.RIGHT_PARENTHESIS)
        self._at -= 1
        return None

    def _number(self, lexeme: Lexeme) -> nodes.Number:
        try:
            value = number_value(lexeme.text)
        except ValueError as problem:
            raise self._error(str(problem)) from None
        return nodes.Number(lexeme.position, lexeme.text, value)

    def _string(self, lexeme: Lexeme) -> nodes.String:
        try:
            value = unquoted(lexeme.text)
        except ValueError as problem:
            raise self._error(str(problem)) from None
        return nodes.String(lexeme.position, lexeme.text, value)
