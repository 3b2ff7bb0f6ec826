"""What a run of the drift job costs, in time and memory."""
