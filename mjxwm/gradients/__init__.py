"""The gradient laboratory: policy gradients through a learned model against those of the simulator.

Every estimator gets the same policy parameters, start states, noise, horizon, terminal value and
reward scale; what differs is what the gradient flows through. See docs/gradients.md.
"""
