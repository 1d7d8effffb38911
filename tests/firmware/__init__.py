"""Boards that exist only in memory, each behind a pty, with the traps of the real ones."""
