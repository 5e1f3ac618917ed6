"""The words below the tables of job=measure: what each number is, and why three counters differ."""

COUNTERS_EXPLAINED = (
    "One multiply-add is 1 MAC; papers that print FLOPs mean twice as many. torch counts 2 FLOPs a multiply-add "
    "(halved here); fvcore calls its multiply-adds flops; thop counts MACs.",
    "torch (FlopCounterMode) has formulas for convolutions, matrix products and attention, and counts 0 for all "
    "else. It runs on shapes alone here (the meta device): on a CPU it would take fused attention for 0.",
    "fvcore adds batch normalisation (2 an element), bilinear upsampling (4 an element) and average pooling (1), "
    "as if each were a multiply-add. It traces, and drops what no output depends on: a query encoder that is asked "
    "for its key alone counts less. The stages here return all they compute, so nothing is dropped. It has no "
    "formula for fused attention.",
    "thop goes by modules: batch normalisation counts 4 an element, average pooling 1. What is called as a "
    "function (interpolation, softmax) it does not see, matrix products and attention excepted.",
    "No counter sees top-k, the norms of the keys, or the softmax over the memory; these cost time (memory "
    "traffic), hardly arithmetic. So MACs and milliseconds need not rank methods alike.",
)
PROTOCOLS_EXPLAINED = {
    "core": "the network alone, from a normalised frame on the device to probabilities there; no memory write",
    "frame": "from a uint8 frame on the host to its mask of ids there, its share of memory writes included",
    "stcn": "as STCN's official evaluation: frames / seconds of a whole video that lies on the device; the first "
    "frame, memory writes and the masks' way to the host are included, files are not",
    "aot": "as AOT's official evaluation: every frame but the first, memory update included; files, upload and "
    "download are not",
    "video": "end to end: JPEG decoded from disk, segmented, PNG written, one frame after another",
}
VIDEOS = (
    "core and frame are medians, with the memory in its steady state (its capacity, 8 frames without one) unless "
    "set. The videos of stcn, aot and video have {frames} frames; shorter ones than DAVIS's (69 on average) "
    "flatter memories that grow. p99 of less than 100 frames is near the slowest one."
)
MEMORY = (
    "Peak memory counts the tensors alive at the worst moment of a frame (MB of 2^20 bytes), weights included; it "
    "is measured without compilation."
)
PUBLISHED = (
    "Published, not measured here: the abstract of MobileVOS (CVPR 2023) says up to 5 times faster and 32 times "
    "fewer parameters than the methods it competes with; texts about the paper disagree whether STCN or RDE-VOS is "
    "meant. By published FPS on DAVIS 2016, 100.1 (device not stated) against STCN's 26.9 (RTX 2080 Ti), the "
    "ResNet-18 student is 3.7 times faster."
)
