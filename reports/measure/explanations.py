"""The words below the tables of job=measure: what each number is, and why three counters differ."""

COUNTERS_EXPLAINED = (
    "One multiply-add is 1 MAC; papers that print FLOPs mean twice as many. torch counts 2 FLOPs a multiply-add "
    "(halved here); fvcore calls its multiply-adds flops; thop counts MACs.",
    "torch (FlopCounterMode) has formulas for convolutions, matrix products and attention, and counts 0 for all "
    "else. It runs on shapes alone here (the meta device): on a CPU it would take fused attention for 0.",
    "fvcore adds batch normalisation (2 an element), layer and group normalisation (5), bilinear upsampling (4) "
    "and average pooling (1), as if each were a multiply-add. It traces, and drops what no output depends on: a "
    "query encoder that is asked for its key alone counts less. The stages here return all they compute, so "
    "nothing is dropped. It has no formula for fused attention.",
    "thop goes by modules: batch, layer and group normalisation count 4 an element, average pooling 1, a softmax "
    "that is a module (DeAOT's) nearly 3. What is called as a function (interpolation, DeAOT's convolution of the "
    "masks) it does not see, matrix products and attention excepted; frozen batch normalisation (DeAOT's) has no "
    "rule.",
    "Attention is a softmax between matrix products here, and all three count the products. DeAOT's short-term "
    "attention sees 15 x 15 pixels around each: these are products too, of a tile of 8 x 16 pixels with all that "
    "its windows cover, more than the windows hold and less than the official code, which reads the values by a "
    "product of all pixels with all (propagation at 480x864: 12.0 GMACs in place of 14.0 with one layer). Its "
    "masks are convolved with the planes of the objects there are, officially with those of ten.",
    "No counter sees top-k, the norms of the keys, the softmax over STCN's memory, or the sampling of deformable "
    "attention (four gathers and products an element); these cost time (memory traffic), hardly arithmetic. So "
    "MACs and milliseconds need not rank methods alike.",
)
PROTOCOLS_EXPLAINED = {
    "core": "the network alone, all stages but the memory write: from a frame on the device to probabilities there",
    "frame": "from a uint8 frame on the host to its mask of ids there, its share of memory writes included",
    "stcn": "as STCN's official evaluation: frames / seconds of a whole video that lies on the device; the first "
    "frame, memory writes and the masks' way to the host are included, files are not",
    "aot": "as AOT's official evaluation: every frame but the first, memory update included; files, upload and "
    "download are not",
    "video": "end to end: JPEG decoded from disk, segmented, PNG written, one frame after another",
}
VIDEOS = (
    "core and frame are medians, with the memory in its steady state (its capacity, 8 frames without one) unless "
    "set; DeAOT's is the long-term memory, besides the previous frame. The videos of stcn, aot and video have "
    "{frames} frames; shorter ones than DAVIS's (69 on average) flatter memories that grow. p99 of less than 100 "
    "frames is near the slowest one."
)
MEMORY = (
    "Peak memory counts the tensors alive at the worst moment of a frame (MB of 2^20 bytes), weights included; it "
    "is measured without compilation."
)
PUBLISHED = (
    "Published, not measured here: the abstract of MobileVOS (CVPR 2023) says up to 5 times faster and 32 times "
    "fewer parameters than the methods it competes with; texts about the paper disagree whether STCN or RDE-VOS "
    "is meant. By published FPS on DAVIS 2016, 100.1 (device not stated) against STCN's 26.9 (RTX 2080 Ti), the "
    "ResNet-18 student is 3.7 times faster."
)
PUBLISHED_SAM = (
    "Published, not measured here (arXiv 2306.14289, on one GPU): SAM's ViT-H takes 452 ms for the encoder and 4 "
    "for the decoder, MobileSAM 8 and 4; FastSAM 64 in all (its own README: 40). Here query_encode is the image "
    "encoder and decode answers a point for each object; frame, stcn, aot and video follow objects by prompts."
)
