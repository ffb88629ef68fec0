"""Photos of the work: checked, drawn anew, kept as files outside the database, shared with the customer or not."""
