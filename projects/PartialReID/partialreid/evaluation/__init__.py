"""Parts of `dsr_evaluation`: collected outputs, distances, FastReID's own switches."""
