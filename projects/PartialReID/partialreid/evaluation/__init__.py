"""What `dsr_evaluation` stands on: outputs collected, distances and FastReID's own switches."""
