"""What one can do with a container, one module per reader's question.

create, start, stop, exits (what happens when one ends), remove, exec, io (attach and logs),
query (get, list, inspect, top). `verbs` joins them to the face that the API asks for.
"""
