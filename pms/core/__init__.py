"""Pure parts of the daemon: book, orders, positions, risk. No I/O, no clock, no chance."""
