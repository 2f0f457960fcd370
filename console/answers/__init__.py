"""The gallery: an index of all answers on this machine, and the pages that show them."""
