"""MobileVOS students (Miles et al., CVPR 2023); layer widths are ours, fitted to the published parameter counts."""
