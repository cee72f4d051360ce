"""Docker's words: the shapes of the Engine API's JSON, and how it is read and written.

I own: one module per noun with the shapes of its requests and answers, field names exactly as
they travel; `lenient`, the one place that reads JSON as forgivingly as Go does; the versions of
the API.
I never: do input or output, know our own vocabulary (`model`), or decide what a value means.
On disk and in the kernel I leave: nothing.
Called by: `api`, and the programs that speak to it from outside. The modules are the face.
"""
