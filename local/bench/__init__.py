"""Speed, memory and cost, measured on one machine (`make bench`)."""
