"""What `job=` can name: a module each, with `run(config, runs) -> exit code`; `runs` is the folder of all results."""
