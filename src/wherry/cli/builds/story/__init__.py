"""What an engine tells of a build, and the ways in which people want to see it.

`trace` puts together what comes in pieces. `plain`, `screen` and `rawjson` show it meanwhile;
`sources`, `reports` and `plans` say afterwards what was wrong with the Dockerfile, why steps ran,
where the time went, and what a build would do.
"""
