"""Where trainings and evaluations run: on this machine, or as the jobs of a cluster."""
