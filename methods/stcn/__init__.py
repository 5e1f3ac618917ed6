"""STCN: space-time correspondence networks (Cheng, Tai, Tang, NeurIPS 2021)."""
