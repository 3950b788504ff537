"""What Storm keeps in ZooKeeper: its nodes, read and as values."""
