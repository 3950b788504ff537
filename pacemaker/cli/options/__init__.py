"""What commands are given: options, servers, the configuration."""
