"""How networks of each kind are made: settings and plans, one module per driver.

I own: what a driver's networks look like in the kernel, as plans of operations.
I never: perform a plan, or know which containers there are.
On disk and in the kernel I leave: nothing; whoever executes the plans does.
Called by: networks.
"""
