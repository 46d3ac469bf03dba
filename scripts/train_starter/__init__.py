"""How the starter models are made: texts, synthetic speech, training, export. PyTorch is used here and nowhere else."""
