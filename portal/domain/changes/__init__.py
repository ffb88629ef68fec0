"""What changed for a partner since somebody last looked, so that open office pages follow (P17)."""
