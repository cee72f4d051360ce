"""Can A reach B, and why not: what the engine knows and what the kernel says, put together.

`looking` gathers facts, `judging` makes hops, a verdict and the smallest fix of them; nothing is
decided while looking, and nothing is looked at while judging.
"""
