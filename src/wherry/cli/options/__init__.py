"""The flags of `create` and `run`: each family's grammar, and its place in the API's request.

I own: the texts that people write (`-p 8080:80`, `--mount type=bind,...`) and Docker's complaints.
I never: speak to the engine.
On disk and in the kernel I leave: nothing; I read the files that flags name.
Called by: create, run and exec.
"""
