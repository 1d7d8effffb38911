"""What edge-af claims, measured: latency, focus speed, faults. For `edge-af bench`, nothing else."""
