"""Cameras and focus stages: real, recorded and virtual."""
