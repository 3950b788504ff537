"""What is known of the cluster, reading after reading; pure."""
