"""What other services are told, and what they tell: NATS JetStream."""
