"""`make bench`: the office's pages measured against a stock Flask-Admin view and a bare SQL page, in one run."""
