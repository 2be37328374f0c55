"""Putting Refledger into an AWS account: packaging, the stack, its removal."""
