"""A Kubernetes operator that keeps a OneDev server equal to the GitHub repositories a person cares about."""

__version__ = "0.1.0"
