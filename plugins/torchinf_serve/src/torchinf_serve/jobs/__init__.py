"""Downloads as durable jobs: each runs in a process of its own and outlives the server."""
