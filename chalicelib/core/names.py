"""What plain values are called, for those who need no facts beside."""

Ms = int
SaleId = str  # in_…, cs_…, pi_…, ch_… as Stripe has them, or tx:<key> for the merchant's own
Identity = str  # key:<merchant's key>, stripe:<cus_…>, email:<trimmed, lower case>, payment:<sale>
