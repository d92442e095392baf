"""PAPER: the dump format; it stores records and pages and has never heard of any kind."""
