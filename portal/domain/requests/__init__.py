"""What customers ask for: new service and changes."""
