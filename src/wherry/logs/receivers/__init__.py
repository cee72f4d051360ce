"""The receivers of logs that are not files here: one module per protocol."""
