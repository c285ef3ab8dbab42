"""How a process is watched: its log, its metrics, its health endpoints."""
