"""What the trader can look back on: the event log as rows in SQL, written by one process beside the daemon.

Nothing that trades waits for it or reads it. `writer` is the only thing in the project that writes SQL.
"""
