"""What `job=` can name: a module each, with `run(config, runs folder) -> exit code`."""
