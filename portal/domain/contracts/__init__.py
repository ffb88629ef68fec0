"""An installation's contract: sent, signed, approved (J10)."""
