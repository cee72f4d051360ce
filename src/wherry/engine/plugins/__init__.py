"""Managed plugins: what they say of themselves, their files, their processes, and the verbs.

Import the modules directly; none of them is in memory before somebody has installed a plugin.
"""
