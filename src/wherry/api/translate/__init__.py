"""Between Docker's words and ours: pure functions, one module per direction and noun."""
