"""What a process computes with and reports by: devices, seeds, threads, log lines and progress."""
