"""Time: service types, working hours, time off, holidays, the rules of Modify and the search for free times."""
