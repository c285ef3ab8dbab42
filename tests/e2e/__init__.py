"""The whole operator on the real cluster: controller, Jobs and their pods, with only GitHub and OneDev stood in for."""
