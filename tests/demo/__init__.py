"""`make demo`: a cluster, the operator, servers to mirror between, and mirrors that become Ready before your eyes."""
