"""What a process stands on: other processes, memory, progress, files."""
