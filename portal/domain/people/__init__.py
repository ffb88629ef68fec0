"""Partners and their people: staff, technicians, customers and the log-ins behind them."""
