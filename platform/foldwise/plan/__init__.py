"""Step 4, plan: what a nested search asks for, the folds, and every fit that follows from them, before anything runs."""
