"""From a profile to the tables and figures of the paper, and the record of each run."""
