"""The vocabulary and the wire contract. Imports msgspec only."""
