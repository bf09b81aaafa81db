"""What carries commands out: one module per group of commands, put into one table by `dispatch`."""
