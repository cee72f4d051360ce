"""The use-cases: what happens when a user creates, starts, stops, inspects or removes something.

I own: container records, the order of steps in each verb and their undo, events, boot.
I never: touch the kernel, speak HTTP or JSON, know Docker's shapes; those are rooms below and
above.
On disk I leave: rows in the `containers` table and one directory per container under the data
root. In the kernel, through other rooms: what a running container is made of.
Called by: api, through the protocols that it declares; wired by programs.

Lock order: a container's lock (`KeyedLock`, by container id) first, then whatever a lower room
takes inside. No verb holds a container's lock while it waits for that container to end, because
the end is recorded under the same lock.
"""
