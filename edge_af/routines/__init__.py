"""Pure control flow: what to look at, what to make of it, where to move."""
