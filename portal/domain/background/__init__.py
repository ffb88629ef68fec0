"""What the worker's periodic jobs did last, so that the admin can show it (N5)."""
