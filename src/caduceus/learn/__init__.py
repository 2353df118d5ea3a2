"""What is learned from the tables of many sites, as sums over sites that nobody needs to see apart."""
