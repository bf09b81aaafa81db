"""Orphan recovery: gather -> plan (pure) -> apply. Imports schemas and algos only."""
