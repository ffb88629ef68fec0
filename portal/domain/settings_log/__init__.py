"""The audit trail of set-up: who changed which setting when, from which value to which (L1)."""
