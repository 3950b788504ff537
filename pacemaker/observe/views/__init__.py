"""What is shown of the cluster at one moment, and what is wrong with it; pure."""
