"""Letters and texts: what they say, in whose words, and how they look; for the worker and for previews."""
