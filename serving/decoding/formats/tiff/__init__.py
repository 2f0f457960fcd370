"""TIFF and BigTIFF: the structure is read here, and a library only unpacks strips and tiles."""
