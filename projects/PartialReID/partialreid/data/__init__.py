"""From a name in the config to batches: catalogue, loaders, samplers, transforms."""
