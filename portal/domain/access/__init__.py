"""Getting in without a password, and getting a new one: links that open once (C9)."""
