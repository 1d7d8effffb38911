"""Focus a microscope from one frame: what runs on the instrument."""
