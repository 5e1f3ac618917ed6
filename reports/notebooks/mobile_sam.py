# %% [markdown]
# # MobileSAM
#
# Zhang and others, *Faster Segment Anything: Towards Lightweight SAM for Mobile Applications* (arXiv 2306.14289).
# A TinyViT takes the place of SAM's image encoder; it learns the embeddings of the large one (decoupled
# distillation), while the mask decoder stays as it is.

# %%
from reports.report import open_report

report = open_report()

# %% [markdown]
# ## Coupled and decoupled distillation (Table 2)

# %%
report.mobile_sam(2)

# %% [markdown]
# ## Batch size and iterations (Table 4)

# %%
report.mobile_sam(4)

# %% [markdown]
# ## Distance of the prompt points (Table 7)

# %%
report.mobile_sam(7)

# %% [markdown]
# ## Coupled, semi-coupled and decoupled, all rows

# %%
report.ablation("decoupled")
