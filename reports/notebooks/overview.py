# %% [markdown]
# # Overview
#
# Everything that the MLflow store holds, beside what papers, repositories and leaderboards report. Published
# figures are grey and name their source; whatever was not measured here says so, and no published figure ever
# stands in for a measured one.

# %%
from reports.report import open_report

report = open_report()

# %% [markdown]
# ## What was measured

# %%
report.contents()

# %% [markdown]
# ## The authors' scores and ours
#
# What `./run_all.sh job=evaluate method=... weights=... dataset=...` gives on the same set stands beside what the
# authors published. A score on another set stands in a column of its own.

# %%
report.own_methods()

# %% [markdown]
# ## Size and speed
#
# Full-size networks on this machine, with random weights: what they compute costs the same as with trained ones.

# %%
report.costs()

# %% [markdown]
# ## Published baselines
#
# Published alone. Speeds are of the device beside them: never compare two devices.

# %%
report.baselines()

# %% [markdown]
# ## Other results
#
# Evaluations, searches, and ablations of your own.

# %%
report.others()
