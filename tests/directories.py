"""The store's rule for keys and directories, by brute force over a plain dict."""

from __future__ import annotations

from hypothesis import strategies as st

ODD_PATHS = (
    *("", "/", "//", "///", "a", "/a", "a/", "/a/", "/a//", "//a", "/a//b"),
    *("/a/b", "/a/b/", "/ab", "/ab/c", "/a+b/x", "/a/é", "/名", "/😀/b", "/\0"),
    *("/a/b/c/d/e/f", "/a///b", "/workerbeats/t-1-100/s-1", "/workerbeats/t-1-1000/0"),
)

paths = st.sampled_from(ODD_PATHS) | st.lists(
    st.sampled_from(("", "a", "b", "ab", "é", "名")), max_size=6
).map("/".join)
"""Paths that often meet, and often lie in each other."""


class DirectoryModel(dict[str, bytes]):
    """What the store holds, with a scan of all keys for each question."""

    def list_nodes(self, path: str) -> set[str]:
        """Return the first non-empty segments behind the prefix."""
        prefix = _prefix(path)
        names = set()
        for key in self:
            if key.startswith(prefix):
                segments = [name for name in key[len(prefix) :].split("/") if name]
                names.update(segments[:1])
        return names

    def delete_all(self, path: str) -> None:
        """Remove the path's own key and all below it."""
        for key in list(self):
            if f"{key}/".startswith(_prefix(path)):
                del self[key]


def _prefix(path: str) -> str:
    return path if path.endswith("/") else f"{path}/"
