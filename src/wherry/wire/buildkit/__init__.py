"""BuildKit's messages, as far as we speak of them: one module for each of its services.

Names and numbers are those of its .proto files.
"""
