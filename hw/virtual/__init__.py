"""A microscope that runs anywhere: what a camera would see, moved as a stage would move."""
