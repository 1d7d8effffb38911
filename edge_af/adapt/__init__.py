"""Fit a head of its own to one instrument, from a few of its focal stacks, in numpy."""
