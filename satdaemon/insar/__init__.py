"""Pure numerics of Sentinel-1 interferometry: files and arrays in, arrays out."""
