"""What tests share: peers as subprocesses, a running server, and ears that measure."""
