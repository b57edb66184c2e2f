"""SIMD for compiled code, in float64 and float32: vectors, elementary functions, random numbers."""
