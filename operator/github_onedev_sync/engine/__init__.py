"""WHEN it happens: the delay queue, the store, the reconcilers, slots, and the ports to the outside."""
