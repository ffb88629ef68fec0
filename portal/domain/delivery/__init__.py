"""How messages leave and whom they do not reach: a partner's channels, what people switched off, who is unreachable."""
