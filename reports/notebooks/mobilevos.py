# %% [markdown]
# # MobileVOS
#
# Miles, Yucel, Manganelli and Saà-Garriga, CVPR 2023 (arXiv 2303.07815). A small student with a short memory learns
# from a large space-time memory network: by the labels, by the teacher's logits, and by a loss on correlations of
# features at object boundaries, in which omega goes from contrastive learning (0) to distillation (1).

# %%
from reports.report import open_report

report = open_report()

# %% [markdown]
# ## Results on DAVIS and YouTube-VOS

# %%
report.mobilevos()

# %% [markdown]
# The tables of the paper's ablations could not be read, so the chapters below have measured columns alone; what is
# reported in words stands above each. Settings are ours where docs/ablations.md says so.
#
# ## Labels alone and distillation

# %%
report.ablation("distillation")

# %% [markdown]
# ## Boundary and random pixels
#
# Reported: errors gather at boundaries; sampling there converges faster and ends higher than random sampling.

# %%
report.ablation("sampling")

# %% [markdown]
# ## Omega
#
# Reported: 1 (distillation alone) is the best on DAVIS, 0 (contrastive learning alone) on YouTube-VOS.

# %%
report.ablation("omega")

# %% [markdown]
# ## Losses
#
# Reported: the parts are a poly cross-entropy, the representation loss and logit distillation; their weights differ
# between ResNet and MobileNet students, by how much is not known.

# %%
report.ablation("losses")

# %% [markdown]
# ## From when on the teacher has a part
#
# Whether the paper distils from the first stage of training on is not known.

# %%
report.ablation("start")

# %% [markdown]
# ## The memory queue
#
# Reported: a queue of two frames. Which frames it keeps is not known.

# %%
report.ablation("queue")

# %% [markdown]
# ## Model soups
#
# Reported: checkpoints are averaged greedily, at no cost at inference. Which, and picked on what, is not known.

# %%
report.ablation("soup")

# %% [markdown]
# ## Backbones and the pyramid
#
# Reported: ResNet-18 (8.1 M parameters), MobileNetV2 (2.5 M), and MobileNetV2 without ASPP (1.9 M), which runs on a
# phone in real time.

# %%
report.ablation("aspp")

# %% [markdown]
# ## Who teaches
#
# Reported: an "infinite-memory" network; a later paper says that it is STCN.

# %%
report.ablation("teacher")

# %% [markdown]
# ## Temperature of the logits
#
# The unofficial repository has 0.1. Each temperature has a weight of its own (ours).

# %%
report.ablation("temperature")

# %% [markdown]
# ## The weights that come with the suite
#
# How they were made, where `job=give` has been run (ours).

# %%
report.ablation("given")

# %% [markdown]
# ## The gap between teacher and student
#
# The paper leaves open what it does to distillation (ours).

# %%
report.ablation("capacity")

# %% [markdown]
# ## From static images to real video
#
# What decides when a student learns from static images with masks (`training.root=`) and ImageNet weights (ours).

# %%
report.ablation("stills")
