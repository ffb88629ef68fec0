"""Where a technician on the way is, and when they arrive: for one visit's customer, and only until work begins (C4)."""
