"""The pages of `observe`: HTML from the server, JSON and metrics; read-only."""
