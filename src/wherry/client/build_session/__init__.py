"""What a client offers while its build runs: the other end of `POST /session`.

The client makes the connection, and then is the one who is called, by gRPC: for the files that a
step needs, when it needs them, for a secret, an agent, a registry's credentials, a place for
results. What is not asked for stays here.

    client                                        engine
    POST /session, Upgrade: h2c ───────────────►
    POST /build?version=2&session=ID ──────────►
           FileSync.DiffCopy  ◄────────────────── which files of yours?    directories, file_sync
           Secrets.GetSecret  ◄────────────────── a secret, please         offers
           SSH.ForwardAgent   ◄────────────────── one line to an agent     offers
           Auth.Credentials   ◄────────────────── who are you there?       offers
           Content.Read       ◄────────────────── a blob of a layout       layouts
           FileSend.DiffCopy  ◄────────────────── a result for you         results

It is BuildKit's protocol: any engine that has it builds so. The calls are answered by a thread
of their own (`session`), which ends with the build.
"""
