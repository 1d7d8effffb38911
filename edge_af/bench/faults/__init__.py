"""Faults put into a microscope at random moments, and what edge-af makes of them."""
