"""What every separator returns: the contract of models, masks, and models made of other models."""
