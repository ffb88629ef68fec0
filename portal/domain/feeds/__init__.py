"""Calendar feeds: private addresses at which a calendar reads somebody's visits (C10)."""
