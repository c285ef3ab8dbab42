"""The webhook role: takes GitHub's deliveries and tells the cluster's mirrors and syncs of them."""
