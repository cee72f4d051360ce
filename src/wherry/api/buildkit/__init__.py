"""BuildKit's own protocol: gRPC over connections that were HTTP/1.1 before.

A client opens two connections. On `/grpc` it calls us: solve this, tell me how it goes. On
`/session` we call it: it serves what only it has, files, secrets, agents, credentials. Both carry
the same id, and what the client offers on the second lives as long as that connection.

    client                                        engine
    POST /session, Upgrade: h2c ───────────────►  a channel, kept by its id
    POST /grpc, Upgrade: h2c ──────────────────►  `control`, `gateway`
      Control.Solve(ref, session, exporters) ──►  a job
      Control.Status(ref) ─────────────────────►  its story, as it happens
      LLBBridge.Solve(dockerfile.v0, options) ─►  the build
           FileSync.DiffCopy  ◄────────────────── which files of yours?
           Secrets.GetSecret  ◄────────────────── a secret, please
      LLBBridge.Return(result) ────────────────►  the job ends, and Solve answers

Everything here is imported when somebody connects for the first time.
"""
