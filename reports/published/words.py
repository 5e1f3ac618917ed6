"""How published methods are called in print, and where the literature contradicts itself."""

NAMES = {
    "mobilevos": "MobileVOS",
    "mobilevos_r18": "MobileVOS, ResNet-18",
    "mobilevos_mnv2": "MobileVOS, MobileNetV2",
    "mobilevos_mnv2_no_aspp": "MobileVOS, MobileNetV2 without ASPP",
    "stcn": "STCN",
    "rde_vos": "RDE-VOS",
    "xmem": "XMem",
    **{f"aot_{size.lower()}": f"AOT-{size}" for size in "TSBL"},
    "r50_aot_l": "R50-AOT-L",
    **{f"deaot_{size.lower()}": f"DeAOT-{size}" for size in "TSBL"},
    "r50_deaot_l": "R50-DeAOT-L",
    "swinb_deaot_l": "SwinB-DeAOT-L",
    "cutie_small": "Cutie-small",
    "cutie_base": "Cutie-base",
    "livos": "LiVOS",
    "edgetam": "EdgeTAM",
    "efficienttam_ti": "EfficientTAM-Ti",
    "efficienttam_s": "EfficientTAM-S",
    "sam2_b+": "SAM 2 B+",
    "sam2.1_t": "SAM 2.1 T",
    "sam2.1_s": "SAM 2.1 S",
    "sam2.1_b+": "SAM 2.1 B+",
    "sam2.1_l": "SAM 2.1 L",
    "trickvos_light": "TrickVOS, lightweight",
    "trickvos_stcn": "STCN + TrickVOS",
    "corrflow": "CorrFlow",
    "mast": "MAST",
    "self_cycle": "Self-cycle",
    "mining": "Mining",
    "liir": "LIIR",
    "unified_mask": "UnifiedMask",
    "sam_vit_h": "SAM (ViT-H)",
    "fast_sam": "FastSAM",
    "mobile_sam": "MobileSAM",
}

# By table, beside the notes that stand with single figures in the csv files.
REMARKS = {
    "mobilevos": (
        "The body of the paper could not be read: these rows are those that leaderboards and other papers report.",
        "Texts about the paper disagree on what it is 5 times faster and 32 times smaller than: by parameters, 8 "
        "and 32 times fit RDE-VOS (64.0 M), while STCN (54.43 M) has 6.7 times those of the ResNet-18 student.",
        "By published speeds the ResNet-18 student is 3.7 (DAVIS 2016) to 4.5 times (DAVIS 2017) as fast as STCN "
        "on an RTX 2080 Ti; the device of its own speed is not known.",
    ),
    "deaot_distilled_3": (
        'The text says "about 50 times" faster than UnifiedMask; 52.36 / 1.77 is 29.6. No device is given.',
    ),
    "baselines": (
        "Speeds are of different devices, sets and settings: compare them on one device only.",
        "AOT's repository gives other figures than its paper for what it has trained anew: J&F on DAVIS 2017 79.2, "
        "82.1, 83.3, 83.6 and 85.2 for AOT-T, S, B, L and R50-AOT-L.",
        "For one model, sources give different scores: Cutie-base 88.8 and 87.9, SAM 2 B+ 90.9 and 88.9 (trained "
        "on different data, it seems). Both stand here.",
    ),
    "mobile_sam_2": ("The teacher's image encoder has 632 M parameters in the paper and 611 M in the repository.",),
    "mobile_sam_7": (
        "FastSAM takes 64 ms in Table 6 and the abstract, 40 ms in the text and in its own repository; MobileSAM "
        "12 ms and 10 ms: 5 or 4 times faster.",
        "The text says that the difference grows when the points are near, as the row of FastSAM shows.",
    ),
}
