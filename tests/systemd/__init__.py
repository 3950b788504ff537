"""The units of systemd, judged by systemd's own programs."""
