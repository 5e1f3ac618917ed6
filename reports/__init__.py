"""Tables and pictures from the records that the benchmark wrote, in the manner of the papers.

`python -m reports FOLDER` reads FOLDER/records.jsonl and writes everything beside it.
"""
