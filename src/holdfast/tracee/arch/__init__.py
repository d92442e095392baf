"""One file for each CPU, with one table value in it."""
