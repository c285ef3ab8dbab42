"""A real Kubernetes cluster without asking the user for one: see `python -m tests.local_cluster --help`."""

from .choice import Cluster as Cluster
from .choice import choose as choose
from .choice import environment as environment
from .errors import ClusterError as ClusterError
