"""The execution algos: pure decisions, (state, input) -> (state, actions). Imports schemas only."""
