"""Who acts: buyer, steward, coordinator. Each decides from what the chain says and runs over ports."""
