"""HOW the outside is reached: the only room that knows the libraries for Kubernetes, GitHub and OneDev."""
