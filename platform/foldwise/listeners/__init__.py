"""Step 8, show: who listens to events. A search waits for none of them."""
