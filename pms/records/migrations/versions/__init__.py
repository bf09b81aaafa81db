"""One module for each change of the tables, named by what it does and its number."""
