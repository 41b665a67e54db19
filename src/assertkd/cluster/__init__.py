"""What a compute cluster needs beside the stages: its account, modules and GPUs, and what jobs ask it for."""
