"""`wherry compose`: a command line within the command line.

A command reads its project (`selection`), has the room `wherry.compose` make a plan, and shows
what becomes of it (`telling`). Every module but `entry`, `catalogue`, `selection` and `telling`
holds commands, and is imported when one of them runs.
"""
