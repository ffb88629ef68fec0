"""The rules of Doorstep: plain Python and SQLAlchemy, callable from a page, the worker, a test or a shell alike."""
