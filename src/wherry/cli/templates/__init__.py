"""Go's text/template for `--format`: lexer, parser, executor, functions, and Go's value printing.

I own: the template language, its error texts, and a model of Go's types for what is printed.
I never: fetch anything or know a command.
On disk and in the kernel I leave: nothing.
Called by: the cli's commands that have `--format`.

Theory of operation. `parser.parse` turns text into nodes; `executor.execute` walks them over a
`values.Value`, which is a datum together with its Go type, because what a template may do with a
datum, how it prints and what an error says all depend on that type. Documents of unknown shape
have the types that Go's JSON decoder gives them; known ones get theirs from `docker_types`.
Language: pkg.go.dev/text/template.
"""
