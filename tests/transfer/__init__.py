"""The worker against real git on both sides, over HTTP."""
