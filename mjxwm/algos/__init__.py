"""Algorithms: `make(config, env) -> mjxwm.types.Algorithm`. They never import one another."""
