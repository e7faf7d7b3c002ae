"""The `nerve` command: the composition root of every process of a site."""
