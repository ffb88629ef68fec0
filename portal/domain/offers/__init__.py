"""Jobs offered to partners before they are anybody's."""
