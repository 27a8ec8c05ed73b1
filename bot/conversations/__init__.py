"""The durable conversation log: messages accepted, turns taken one at a time, replies committed once."""
