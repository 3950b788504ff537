"""What is in deploy/, judged by the programs that read it."""
