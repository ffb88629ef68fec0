"""Jobs (installations and service jobs), their visits, items and history."""
