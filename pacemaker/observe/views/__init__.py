"""What is shown: the cluster at one moment, its columns, what is wrong; pure."""
