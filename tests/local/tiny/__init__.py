"""A whole run in small: an app of a few routes, in place of Refledger, for the runner's tests."""
