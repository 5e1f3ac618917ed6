"""Methods as files for other runtimes: fixed shapes, the memory as tensors that go in and come out."""
