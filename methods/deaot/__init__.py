"""DeAOT: T, S, B, L and R50-L."""
