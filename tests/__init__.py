"""The tests, in layers: static, pure, contract (fake and real Redis), world (virtual clock), process."""
