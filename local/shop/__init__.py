"""The demo shop: a page per way of selling, and one that shows what Refledger made of it."""
