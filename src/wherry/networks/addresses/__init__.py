"""Which addresses a subnet has, and who gives them out."""
