"""What a browser sees of the fake: pay pages, and stand-ins for Stripe's embedded elements."""
