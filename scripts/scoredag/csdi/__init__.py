"""CSDI, the conditional score-based diffusion model for imputation."""
