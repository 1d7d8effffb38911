"""What edge-af claims, measured: latency, focus, faults. For `edge-af bench`, nothing else."""
