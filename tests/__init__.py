"""What holds Doorstep to its word."""
