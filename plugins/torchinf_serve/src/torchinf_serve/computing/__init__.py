"""What happens to predictions between the queue and the model."""
