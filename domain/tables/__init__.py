"""Tables as CSV: written so that spreadsheets open them, and read as people have saved them."""
