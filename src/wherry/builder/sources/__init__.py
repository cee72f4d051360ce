"""Where the files of a build come from: what clients send and keep, the web, git."""
