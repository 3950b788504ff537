"""The heartbeats: a trie of keys behind one lock, within a budget."""
