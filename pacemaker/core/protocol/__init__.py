"""One connection's messages: from its bytes to the store, and back."""
