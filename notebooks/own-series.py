# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Fill the gaps of your own series
#
# A table of measurements with gaps, filled in one call, with intervals and joint draws, and without training. Then a
# number with an honest error: a mean over a month that has gaps. Put the path of your own file below and run it
# again. More: docs/own-series.md, docs/filling.md.
#
# To open it elsewhere, install the project first, in its folder: `pip install --editable .`, and start Jupyter there.

# %%
# %matplotlib inline
import matplotlib.pyplot as plt
import pandas as pd

import scoredag

# %% tags=["parameters"]
FILE = "data/own-series.csv"

# %%
frame = pd.read_csv(FILE, index_col=0, parse_dates=True).select_dtypes("number")
frame = frame[~frame.index.duplicated()].sort_index()[["temp", "dewp", "pressure"]].iloc[:1000]
print(f"{len(frame)} rows from {frame.index[0]} to {frame.index[-1]}")
frame.isna().sum().rename("missing").to_frame()

# %% [markdown]
# ## Fill
#
# Rows that are absent are filled in as well. The report says what was found and chosen, and how good it is: values
# that are known were hidden as the missing ones are, and compared.

# %%
result = scoredag.impute(frame, draws=20, level=0.9)
for line in result.report:
    if "windows" in line or "weights" in line or "CRPS" in line:
        print("-", line)

# %% [markdown]
# ## Look
#
# Observed values are lines, medians dots, 90 % intervals bars.

# %%
column = result.missing.sum().idxmax()
first = result.missing[column].idxmax()
part = slice(first - pd.Timedelta("3D"), first + pd.Timedelta("5D"))
filled, missing = result.filled[column][part], result.missing[column][part]
figure, axis = plt.subplots(figsize=(9, 3), layout="constrained")
axis.plot(filled.index, filled.where(~missing), color="black", label="observed")
middle = filled[missing]
ends = [middle - result.lower[column][part][missing], result.upper[column][part][missing] - middle]
axis.errorbar(middle.index, middle, ends, fmt="o", color="#0072b2", markersize=4, label="filled, 90 %")
axis.set_ylabel(column)
axis.legend()
plt.show()

# %% [markdown]
# ## A number with its error
#
# Each draw is a whole series, in which the filled values belong together. A mean is calculated from each draw, as if
# nothing had been missing, and pooled by Rubin's rules.

# %%
means = [result.completed(draw)[column].mean() for draw in range(20)]
pooled = scoredag.pool(means, level=0.9)
print(f"mean of {column}: {pooled.estimate:.3f}, 90 % from {pooled.lower:.3f} to {pooled.upper:.3f}")
print(f"of the observed values alone: {frame[column].mean():.3f}")

# %% [markdown]
# ## Questions
#
# <details><summary>May I add the ends of the intervals of single hours to get the interval of their sum?</summary>
#
# No. Errors of neighbouring hours are alike but not the same, so the interval of the sum is narrower than the sum of
# intervals and wider than if they were independent. Take the draws.
# </details>
#
# <details><summary>What if values are missing because they are high?</summary>
#
# Then nothing in the data says so, and the intervals hold less than they should: docs/held-out-patterns.md. Shift
# what was filled in by what you think is possible, and see what changes.
# </details>
