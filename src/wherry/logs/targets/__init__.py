"""The drivers whose receiver is elsewhere: the options of each, as a value that says where it is.

A wrong option is refused in Docker's words when a container is created.
"""
