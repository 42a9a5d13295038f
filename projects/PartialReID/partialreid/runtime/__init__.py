"""What every process needs: the other processes, its device, memory, files, progress, errors."""
