"""What a machine needs to focus a microscope, checked point by point, each with its cure."""

from edge_af.doctor.examine import examine
from edge_af.doctor.finding import Finding, Status

__all__ = ["Finding", "Status", "examine"]
