"""`top`: the cluster in the terminal, with Textual, which is an extra."""
