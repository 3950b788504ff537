"""What is known of the cluster, updated by each reading; pure."""
