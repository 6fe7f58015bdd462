"""Networks and their losses: world model, actor and critics."""
