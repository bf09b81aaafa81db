"""Redis: the two command doors, the one atomic function, the lease and the event stream."""
