# %% [markdown]
# # DeAOT, distilled without labels
#
# Truong, Nguyen, Hua and Yeung, *Self-supervised Video Object Segmentation with Distillation Learning of
# Deformable Attention* (arXiv 2401.13937). A DeAOT-T with deformable attention learns from the answers of
# R50-DeAOT-L: from its logits (DIST, within and between objects) and from its attention maps (CKA). The student
# sees no labels; its teacher was trained with them.

# %%
from reports.report import open_report

report = open_report()

# %% [markdown]
# ## Vanilla and deformable attention (Table 1)

# %%
report.deaot_distilled(1)

# %%
report.ablation("attention")

# %% [markdown]
# ## Ways of distilling (Table 2)

# %%
report.deaot_distilled(2)

# %%
report.ablation("kd")

# %% [markdown]
# ## Against self-supervised methods (Table 3)

# %%
report.deaot_distilled(3)

# %% [markdown]
# ## Which attention map (Table 4)

# %%
report.deaot_distilled(4)

# %%
report.ablation("attention_map")

# %% [markdown]
# ## The weight of the attention loss
#
# The paper takes lambda = 1.5; DIST in its Table 2 is lambda = 0. It gives no figures for others.

# %%
report.ablation("lambda")

# %% [markdown]
# ## Errors in the paper
#
# - Equation 8 (CKA) has the same product in numerator and denominator, so that it is 1 for any input. Here:
#   HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)).
# - Algorithm 1 adds lambda times CKA, a similarity; equation 9 adds 1 - CKA, as we do.
# - The softmax is printed as Y = softmax(Y); it is of the logits Z.
# - Equation 3 sums over the reduced grid; it must be the grid of all features.
# - The DeAOT-T that is taught has one layer, so "the third" of the teacher's maps meets the student's only one.
# - Figures 3 (accuracy and memory) and 4 (convergence of CKA and KL) have no numbers in the text.
