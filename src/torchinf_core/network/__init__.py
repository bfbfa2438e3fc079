"""What is asked of the network: one client with the user's policy, addresses, pauses."""
