"""One module a format: what of a file decides its pixels, and how they become RGB.

Metadata is kept from the decoders, because they reject whole pictures for a malformed text or
resolution. Variants that no test compares with known pixels are refused by name.
"""
