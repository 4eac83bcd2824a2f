"""SimCFS: compound-figure separation trained on simulated figures (Yao et al., MELBA 2022:025)."""
