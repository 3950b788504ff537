"""What commands print and return: text, JSON, log lines, exit codes."""
