"""What every test can ask for."""

from tests.local_cluster.fixtures import cluster as cluster
