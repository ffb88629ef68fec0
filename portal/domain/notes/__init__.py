"""Notes of a job for the office and its technicians, and what of the field was told once already."""
